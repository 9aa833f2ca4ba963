from __future__ import annotations

import pytest

from sipproxy.sip import PeerError, Request
from sipproxy.sip.body import find_description, is_optional
from sipproxy.sip.limits import MAX_HEADERS, MAX_PARTS

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"
ISUP = b"\x01\x00\r\n--nearly\x00\xff"
MIXED = (
    b'preamble\r\n--b+1\r\nContent-Type: application/isup;version="itu-t"\r\n\r\n' + ISUP + b"\r\n--b+1\r\n"
    b"c: application/sdp\r\nContent-Length: 32\r\nContent-Disposition: session\r\n\r\n" + SDP + b"\r\n--b+1--\r\nafter"
)
NESTED = (
    b"--out\r\nContent-Type: multipart/related; boundary=in\r\n\r\n--in\r\n\r\ntext\r\n--in\r\nContent-Type: application/sdp\r\n\r\n"
    + SDP
    + b"\r\n--in--\r\n--out--"
)
UNCLOSED = b"--u\r\nContent-Type: application/isup\r\n\r\nx\r\n--u\r\nContent-Type: application/sdp\r\n\r\n" + SDP
EARLY = (
    b"--e\r\nContent-Type: application/sdp\r\nContent-Disposition: Early-Session;handling=required\r\n\r\nv=0 early\r\n"
    b"--e\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--e--"
)


def message(kind: str, body: bytes) -> Request:
    return Request.build("INVITE", "sip:a@b", [("Content-Type", kind)] if kind else [], body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/sdp", SDP),
        ("Application/SDP ;charset=utf-8", SDP),
        ('multipart/mixed; boundary="b+1"', MIXED),
        ("multipart/mixed;boundary=out", NESTED),
        ("multipart/mixed;boundary=e", EARLY),
        ("multipart/mixed;boundary=u", UNCLOSED),
        ("multipart/alternative;boundary=x", b"--x\nContent-Type:application/sdp\n\n" + SDP + b"\n--x--\n"),
    ],
)
def test_the_description_is_found_and_nothing_else_changes(kind: str, body: bytes) -> None:
    found = find_description(message(kind, body))
    assert found is not None
    assert found.of(body) == SDP
    other = found.replaced(body, b"v=0 relayed")
    assert other == body.replace(b"Content-Length: 32", b"Content-Length: 11").replace(SDP, b"v=0 relayed")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", SDP),
        ("text/plain", SDP),
        ("application/sdp", b""),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--"),
    ],
)
def test_other_bodies_have_none(kind: str, body: bytes) -> None:
    assert find_description(message(kind, body)) is None


def deep(levels: int) -> bytes:
    body = b"Content-Type: application/sdp\r\n\r\n" + SDP
    for _ in range(levels):
        body = b"Content-Type: multipart/mixed;boundary=b\r\n\r\n--b\r\n" + body + b"\r\n--b--"
    return body.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", MIXED),
        ('multipart/mixed;boundary=""', MIXED),
        ("multipart/mixed;boundary=" + "b" * 71, MIXED),
        ("multipart/mixed;boundary=other", MIXED),
        ("multipart/mixed;boundary=b", b"--b\r\nno blank line\r\n--b--"),
        ("multipart/mixed;boundary=b", b"--b--\r\n\r\nContent-Type: application/sdp\r\n\r\n" + SDP),
        ("multipart/mixed;boundary=b", b"\r\n--b\r\n\r\nx" * (MAX_PARTS + 1) + b"\r\n--b--"),
        ("multipart/mixed;boundary=b", b"--b\r\n" + b"l:1\r\n" * (MAX_HEADERS + 1) + b"\r\nx\r\n--b--"),
        ("multipart/mixed;boundary=b", deep(4)),
    ],
)
def test_a_body_that_cannot_be_taken_apart_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(PeerError):
        find_description(message(kind, body))


@pytest.mark.parametrize(
    ("disposition", "optional"),
    [
        ("signal;handling=optional", True),
        ("render ; Handling = OPTIONAL ; x=1", True),
        ("signal;handling=required", False),
        ("handling=optional", False),
        ("session", False),
        ("", False),
    ],
)
def test_a_sender_says_whether_it_can_do_without_its_body(disposition: str, optional: bool) -> None:
    request = message("application/isup", ISUP)
    assert not is_optional(request)
    request.append("Content-Disposition", disposition)
    assert is_optional(request) is optional


@pytest.mark.parametrize(
    ("dispositions", "optional"),
    [
        (["signal;handling=optional"], True),
        (["signal;handling=optional", 'x; handling="Optional"'], True),
        (["signal;handling=optional", "signal"], False),
        (["signal;handling=required"], False),
    ],
)
def test_a_sender_can_do_without_a_body_if_it_can_do_without_each_part(dispositions: list[str], optional: bool) -> None:
    body = "".join(f"--b\r\nContent-Type: application/isup\r\nContent-Disposition: {value}\r\n\r\nx\r\n" for value in dispositions)
    assert is_optional(message("multipart/mixed;boundary=b", f"{body}--b--".encode())) is optional


@pytest.mark.parametrize("kind", ["application/sdp", "multipart/mixed;boundary=b"])
def test_an_encoded_body_is_refused_where_it_may_hide_a_description(kind: str) -> None:
    request = message(kind, b"\x1f\x8bzz")
    request.append("Content-Encoding", "gzip")
    with pytest.raises(PeerError) as refusal:
        find_description(request)
    assert refusal.value.status == 415


def test_an_encoding_that_changes_nothing_is_none() -> None:
    request = message("application/sdp", SDP)
    request.append("e", "Identity")
    assert find_description(request) is not None
