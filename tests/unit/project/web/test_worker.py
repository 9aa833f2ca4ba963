"""What a thread makes of a whole request."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.conf import settings
from gunicorn.config import Config

from sipuri_project.web import gunicorn_config
from sipuri_project.web.replies import Reply
from sipuri_project.web.requests import BAD_BODY, Fault, WholeRequest
from sipuri_project.web.worker import OTHER_FILES, WholeRequestWorker, _most_connections

HEAD = b"POST /t?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Log(logging.Logger):
    """gunicorn's logger, as far as a worker uses it."""

    def access(self, *_args: object) -> None:
        """Write nothing."""


def answer(application: Application, request: WholeRequest) -> Reply:
    worker = WholeRequestWorker.__new__(WholeRequestWorker)
    worker.cfg, worker.log, worker.alive, worker.wsgi = Config(), Log("test"), True, application
    return worker._work(request, ("127.0.0.1", 1), ("127.0.0.1", 2))


def text(reply: Reply) -> bytes:
    return b"".join(bytes(part) for part in reply.parts if isinstance(part, bytearray))


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer the body as Django would read it, and what was said of it."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.mark.parametrize("head", [HEAD, CHUNKED])
def test_a_body_is_read_however_its_length_was_said(head: bytes) -> None:
    reply = answer(echo, WholeRequest(head, b"hi"))
    assert text(reply).startswith(b"HTTP/1.1 200 OK\r\n")
    assert text(reply).endswith(b"\r\n\r\nhi")
    assert not reply.is_last


@pytest.mark.parametrize(
    ("fault", "length", "is_bad"),
    [
        (Fault.LARGE_BODY, settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1, False),
        (Fault.BAD_CHUNK, 0, True),
        (Fault.DOUBTFUL_LENGTH, 0, True),
    ],
)
def test_a_body_that_cannot_be_taken_is_told_and_ends_the_connection(fault: Fault, length: int, is_bad: bool) -> None:
    seen: dict[str, Any] = {}

    def look(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.update(environ)
        start_response("413 No", [("Content-Length", "0")])
        return []

    reply = answer(look, WholeRequest(CHUNKED, fault=fault))
    assert (int(seen.get("CONTENT_LENGTH", 0)), bool(seen.get(BAD_BODY)), seen["wsgi.input"].read()) == (length, is_bad, b"")
    assert reply.is_last
    assert b"Connection: close\r\n" in text(reply)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (WholeRequest(b"GET / HTTP/1.1\r\nX: x", fault=Fault.LONG_HEAD), b"431"),
        (WholeRequest(b"GET / HTTP/1.1\nX: x\n\n", fault=Fault.DOUBTFUL_LENGTH), b"400"),
        (WholeRequest(b"nonsense\r\n\r\n"), b"400"),
        (WholeRequest(b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", fault=Fault.DOUBTFUL_LENGTH), b"400"),
    ],
)
def test_what_is_no_request_never_reaches_django(request_: WholeRequest, status: bytes) -> None:
    def fail(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        raise AssertionError("asked")

    reply = answer(fail, request_)
    assert text(reply).startswith(b"HTTP/1.1 " + status)
    assert reply.is_last


def test_an_answer_that_fails_half_way_becomes_one_whole_error() -> None:
    def half(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"half"
        raise OSError(28, "No space left on device")

    reply = answer(half, WholeRequest(HEAD, b"hi"))
    assert text(reply).startswith(b"HTTP/1.1 500 ")
    assert b"half" not in text(reply)


def test_connections_are_no_more_than_the_open_files_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_limits: None)
    for hard, most in ((1024, (1024 - OTHER_FILES) // 2), (1_000_000, 1000), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _which, hard=hard: (256, hard))
        assert _most_connections(1000) == most


def test_the_configuration_is_gunicorns() -> None:
    config = Config()
    for name, value in vars(gunicorn_config).items():
        if name.islower() and not name.startswith("_"):
            config.set(name, value)
    assert config.worker_class is WholeRequestWorker
