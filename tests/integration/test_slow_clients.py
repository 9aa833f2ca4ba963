"""Clients that send and take slowly, hold connections and send odd bodies: they cost nobody else anything."""

from __future__ import annotations

import http.client
import json
import select
import signal
import socket
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.fleet import ACCOUNT, CLIENT, SECRET, Fleet
from tests.support.postgres_server import PostgresServer

HELD = 200
APPLICATIONS = f"/v2/accounts/{ACCOUNT}/voice-applications"
TOKEN_FORM = f"grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}"
POST = b"POST /api/v1/oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
LARGE_PAGE = b"GET /static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
GIGABYTE = 2**30
SPARE = 64 * 2**20
"""What a process may grow by while it sends files, in octets."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("web"), ("web",))
    fleet.start()
    yield fleet
    fleet.stop()
    assert "Traceback" not in fleet.log("web")


def connect(fleet: Fleet, sent: bytes = b"", *, window: int | None = None) -> socket.socket:
    where = urlsplit(fleet.http)
    sock = socket.socket()
    if window is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    sock.settimeout(30)
    sock.connect((where.hostname, where.port))
    sock.sendall(sent)
    return sock


def ask(fleet: Fleet, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a request on a connection of its own; `body` may be an iterable, which goes in chunks."""
    where = urlsplit(fleet.http)
    client = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30)
    try:
        client.request(method, path, body, headers, encode_chunked=isinstance(body, list))  # type: ignore[arg-type]
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def token_of(fleet: Fleet) -> dict[str, str]:
    answer = ask(fleet, "POST", "/api/v1/oauth2/token", TOKEN_FORM, **{"Content-Type": "application/x-www-form-urlencoded"})[1]
    return {"Authorization": f"Bearer {json.loads(answer)['access_token']}"}


@contextmanager
def holding(fleet: Fleet, sent: bytes, count: int = HELD) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connect(fleet, sent, window=4096)) for _ in range(count)]


@contextmanager
def trickling(held: list[socket.socket]) -> Iterator[None]:
    """Send each of the connections one octet after the other."""
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.05):
            for sock in held:
                with suppress(OSError):
                    sock.send(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ", id="half a head"),
        pytest.param(POST + b"Content-Length: 60000\r\n\r\ng", id="half a body"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nffff\r\ng", id="half a chunk"),
        pytest.param(POST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n", id="a body held back"),
        pytest.param(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", id="a kept connection"),
        pytest.param(LARGE_PAGE, id="an answer that nobody takes"),
    ],
)
def test_two_hundred_of_these_delay_nobody(fleet: Fleet, sent: bytes) -> None:
    bearer = token_of(fleet)
    with holding(fleet, sent) as held:
        assert ask(fleet, "GET", "/healthz")[0] == 200
        assert ask(fleet, "GET", APPLICATIONS, **bearer)[0] == 200
        assert ask(fleet, "GET", "/console/login/")[0] == 200
        if sent.startswith(POST) and b"Expect" not in sent:
            assert not select.select(held, [], [], 0)[0], "they are still held"


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nX: ", POST + b"Content-Length: 60000\r\n\r\n"])
def test_two_hundred_that_send_an_octet_a_while_delay_nobody(fleet: Fleet, sent: bytes) -> None:
    bearer = token_of(fleet)
    with holding(fleet, sent) as held, trickling(held):
        for _ in range(3):
            assert ask(fleet, "GET", "/healthz")[0] == 200
            assert ask(fleet, "GET", APPLICATIONS, **bearer)[0] == 200


def test_half_requests_are_dropped_in_the_end(web: Fleet) -> None:
    with connect(web, b"GET / HTTP/1.1\r\n") as half, connect(web, POST + b"Content-Length: 9\r\n\r\n") as body:
        assert half.makefile("rb").read().startswith(b"HTTP/1.1 408 ")
        body.settimeout(60)
        assert body.makefile("rb").read().startswith(b"HTTP/1.1 408 ")


def test_a_body_in_chunks_is_read(web: Fleet) -> None:
    headers = token_of(web) | {"Content-Type": "application/json"}
    path = f"{APPLICATIONS}/{web.application().application_id}"
    status, answer = ask(web, "PATCH", path, [b'{"applicationName":', b'"chunked"}'], **headers)
    assert (status, json.loads(answer)["data"]["applicationName"]) == (200, "chunked")
    status, answer = ask(web, "PATCH", path, [b" " * 30_000] * 3, **headers)
    assert (status, json.loads(answer)["errors"][0]["type"]) == (413, "payload_too_large")
    head = f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
    head += f"Authorization: {headers['Authorization']}\r\n\r\n"
    for wrong in (b"2\r\n{}}\r\n0\r\n\r\n", b"zz\r\n"):
        with connect(web, head.encode() + wrong) as sock:
            raw = sock.makefile("rb").read()
            assert raw.startswith(b"HTTP/1.1 400 ")
            assert json.loads(raw.partition(b"\r\n\r\n")[2])["errors"][0]["code"] == "400"
    assert json.loads(ask(web, "GET", path, **headers)[1])["data"]["applicationName"] == "chunked"


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (APPLICATIONS, b'"type":"payload_too_large"'),
        (f"/api/v2/accounts/{ACCOUNT}/calls", b'"type": "validation"'),
        ("/api/v1/oauth2/token", b'"error": "invalid_request"'),
        ("/console/login/", b"A body has at most 65536 bytes.\n"),
    ],
)
def test_a_body_over_the_cap_is_refused_unread_in_each_shape(web: Fleet, path: str, named: bytes) -> None:
    with connect(web, f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {2**40}\r\n\r\n".encode()) as sock:
        raw = sock.makefile("rb").read()
    assert raw.startswith(b"HTTP/1.1 413 ")
    assert named.replace(b" ", b"") in raw.replace(b" ", b"")


@pytest.mark.parametrize(
    "fields", ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Content-Length: 5, 5"]
)
def test_a_request_hidden_in_a_doubtful_body_is_not_answered(web: Fleet, fields: str) -> None:
    with connect(
        web, f"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n".encode()
    ) as sock:
        raw = sock.makefile("rb").read()
    assert (raw.startswith(b"HTTP/1.1 400 "), raw.count(b"HTTP/1.1")) == (True, 1)


RECORDING = f"""
from django.conf import settings
from tests.support.calls import place, record
call = place("{ACCOUNT}")
recording_id = record(call)
with (settings.RECORDINGS_DIR / f"{{recording_id}}.wav").open("wb") as file:
    file.truncate({GIGABYTE})
result = f"/api/v2/accounts/{ACCOUNT}/calls/{{call.call_id}}/recordings/{{recording_id}}/media"
"""


def resident(fleet: Fleet) -> int:
    """Return the most memory that the worker has had, in octets."""
    pid = fleet.processes["web"].pid
    (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    (line,) = (line for line in Path(f"/proc/{worker}/status").read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_gigabyte_is_sent_without_memory_and_without_a_thread(web: Fleet) -> None:
    bearer = token_of(web)
    path = web.python(RECORDING)
    before = resident(web)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {bearer['Authorization']}\r\n"
    with holding(web, f"{request}\r\n".encode(), 20), holding(web, f"{request}Range: bytes=7-\r\n\r\n".encode(), 20):
        assert ask(web, "GET", APPLICATIONS, **bearer)[0] == 200
        for extra, size in (({}, GIGABYTE), ({"Range": "bytes=1000-"}, GIGABYTE - 1000)):
            asked = urllib.request.Request(web.http + path, headers=bearer | extra)
            with urllib.request.urlopen(asked, timeout=30) as answer:
                assert sum(len(part) for part in iter(lambda: answer.read(2**20), b"")) == size
    assert resident(web) - before < SPARE


def test_a_locked_sqlite_never_delays_health(web: Fleet) -> None:
    bearer = token_of(web) | {"Content-Type": "application/json"}
    body = b'{"applicationName": "New", "callInitiatedCallbackUrl": "http://127.0.0.1:9/"}'
    head = f"POST {APPLICATIONS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    write = f"{head}Authorization: {bearer['Authorization']}\r\n\r\n".encode() + body
    with sqlite3.connect(web.state / "sipuri.sqlite3", isolation_level=None) as backup:
        backup.execute("BEGIN IMMEDIATE")
        with holding(web, write, 10) as writers:
            states = json.loads(ask(web, "GET", "/healthz")[1])
            assert (states["status"], states.get("database")) == ("degraded", None), "it has been read"
            assert not select.select(writers, [], [], 0)[0], "all of them still wait for the lock"
            backup.execute("ROLLBACK")
            assert [sock.recv(12) for sock in writers] == [b"HTTP/1.1 201"] * 10


def test_health_answers_while_postgresql_says_nothing(make_fleet: Callable[..., Fleet]) -> None:
    server = PostgresServer()
    server.start()
    fleet = make_fleet("web", SIPURI_DATABASE_URL=server.url)
    fleet.start()
    try:
        server.signal(signal.SIGSTOP)
        status, answer = ask(fleet, "GET", "/healthz")
        assert (status, json.loads(answer)["database"]) == (503, "away")
    finally:
        server.signal(signal.SIGCONT)
    deadline = time.monotonic() + 30
    while "database" in json.loads(ask(fleet, "GET", "/healthz")[1]):
        assert time.monotonic() < deadline, "it is asked again"
    server.stop()
    server.remove()
