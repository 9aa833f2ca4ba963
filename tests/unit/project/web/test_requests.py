"""Where requests end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipuri_project.web.limits import MAX_HEAD
from sipuri_project.web.requests import Fault, Phase, RequestReader, WholeRequest

GET = b"GET /healthz?x=/y HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /t HTTP/1.1\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"PATCH /t HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"


def read(*pieces: bytes, max_body: int = 100) -> list[WholeRequest]:
    reader, found = RequestReader(max_body), []
    for piece in pieces:
        reader.receive(piece)
        while request := reader.next_request():
            found.append(request)
    return found


@given(st.integers(1, 50))
def test_requests_that_follow_each_other_are_told_apart_however_they_are_cut(width: int) -> None:
    wire = b"\r\n" + GET + POST + b"hello" + CHUNKED + b"2\r\nab\r\n0\r\n\r\n" + GET
    pieces = [wire[start : start + width] for start in range(0, len(wire), width)]
    assert read(*pieces) == [WholeRequest(GET), WholeRequest(POST, b"hello"), WholeRequest(CHUNKED, b"ab"), WholeRequest(GET)]


@given(st.binary(max_size=200))
def test_any_octets_are_read(wire: bytes) -> None:
    read(wire + b"\r\n\r\n" + wire)


def test_the_path_is_that_of_the_request_line() -> None:
    assert WholeRequest(GET).path == b"/healthz"
    assert WholeRequest(b"\x00").path == b""


def test_each_phase_is_told() -> None:
    reader = RequestReader(100)
    phases = [reader.phase]
    for piece in (b"POST /t HTTP/1.1\r\n", b"Content-Length: 5\r\n\r\n", b"hell"):
        reader.receive(piece)
        assert reader.next_request() is None
        phases.append(reader.phase)
    reader.receive(b"o")
    assert reader.next_request() is not None
    assert [*phases, reader.phase] == [Phase.IDLE, Phase.HEAD, Phase.BODY, Phase.BODY, Phase.IDLE]


@pytest.mark.parametrize("length", [b"101", b"9" * 15, b"9" * 5_000])
def test_a_body_that_is_announced_too_large_is_not_waited_for(length: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n"
    assert read(head + b"x" * 50) == [WholeRequest(head, fault=Fault.LARGE_BODY)]


def test_the_cap_itself_may_be_sent() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n"
    assert read(head, b"x" * 100) == [WholeRequest(head, b"x" * 100)]


def test_chunks_over_the_cap_are_not_waited_for() -> None:
    assert read(CHUNKED, b"64\r\n" + b"x" * 100, b"\r\n1\r\n") == [WholeRequest(CHUNKED, fault=Fault.LARGE_BODY)]


def test_broken_chunks_end_the_connection() -> None:
    assert read(CHUNKED, b"2\r\nabc\r\n0\r\n\r\n" + GET) == [WholeRequest(CHUNKED, fault=Fault.BAD_CHUNK)]


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding:\r\n chunked",
        b"Content-Length: -1",
        b"Content-Length: 0x5",
        b"Content-Length: ",
        b"content-length : 5, 5",
    ],
)
def test_what_follows_a_doubtful_length_is_no_request(fields: bytes) -> None:
    head = b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\n"
    assert read(head + b"hello" + GET) == [WholeRequest(head, fault=Fault.DOUBTFUL_LENGTH)]


def test_a_head_has_a_size() -> None:
    start, end = b"GET / HTTP/1.1\r\nX: ", b"\r\n\r\n"
    fits = start + b"x" * (MAX_HEAD - len(start) - len(end)) + end
    assert read(fits) == [WholeRequest(fits)]
    longer = start + b"x" * MAX_HEAD
    assert [request.fault for request in read(longer)] == [Fault.LONG_HEAD]
    assert [request.fault for request in read(longer + end)] == [Fault.LONG_HEAD]


def test_lines_without_cr_are_not_waited_for() -> None:
    assert [request.fault for request in read(b"GET / HTTP/1.1\nHost: a\n\n")] == [Fault.DOUBTFUL_LENGTH]


def test_a_body_is_asked_for_once_and_only_if_it_is_held_back() -> None:
    head = b"POST /t HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
    reader = RequestReader(100)
    reader.receive(head)
    assert reader.next_request() is None
    assert [reader.take_continue(), reader.take_continue()] == [True, False]
    reader.receive(b"hello")
    assert reader.next_request() == WholeRequest(head, b"hello")
    reader.receive(head + b"he")
    assert reader.next_request() is None
    assert not reader.take_continue()
