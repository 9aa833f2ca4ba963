from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipproxy.sip import BadRequestError, PeerError, Request, Response, is_keepalive, parse_message
from sipproxy.sip.limits import MAX_DATAGRAM, MAX_HEADER_LINE, MAX_HEADERS, MAX_START_LINE, MAX_VIAS
from tests.unit.sip.wire import OK, invite_with, sample, verdicts

GOOD = [verdict.file for verdict in verdicts() if verdict.parse == OK]


def refusal(data: bytes) -> PeerError:
    with pytest.raises(PeerError) as caught:
        parse_message(data)
    return caught.value


@pytest.mark.parametrize("length", ["-1", "0x10", "99999", "1 2", "", "99999999999999999999", "١"])
def test_content_length_must_be_a_number_within_the_datagram(length: str) -> None:
    error = refusal(invite_with(content_length=length))
    assert (error.status, isinstance(error, BadRequestError)) == (400, True)


def test_two_content_lengths_may_only_repeat_each_other() -> None:
    length = parse_message(sample("invite.sip")).header("Content-Length")
    assert isinstance(parse_message(invite_with(add=f"l: {length}\r\n".encode())), Request)
    assert refusal(invite_with(add=b"l: 3\r\n")).status == 400


def test_octets_after_the_body_are_dropped() -> None:
    assert parse_message(sample("invite.sip") + b"INVITE again").body == parse_message(sample("invite.sip")).body


def test_without_content_length_the_body_is_the_rest() -> None:
    assert parse_message(invite_with(drop="Content-Length")).body.endswith(b"a=sendrecv\r\n")


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Via"])
def test_required_headers(name: str) -> None:
    assert refusal(invite_with(drop=name)).status == 400


@pytest.mark.parametrize("line", [b"f: <sip:x@y>;tag=2", b"T : <sip:x@y>", b"i: other", b"CSEQ: 1 INVITE"])
def test_doubled_single_headers_are_refused_in_silence(line: bytes) -> None:
    assert not isinstance(refusal(invite_with(add=line + b"\r\n")), BadRequestError)


@pytest.mark.parametrize("value", ["-1", "256", "7 0", "1e1", "99999999999"])
def test_max_forwards_range(value: str) -> None:
    assert refusal(invite_with(max_forwards=value)).status == 400


def test_max_forwards_twice() -> None:
    assert refusal(invite_with(add=b"Max-Forwards: 3\r\n")).status == 400


@pytest.mark.parametrize("value", ["2147483648 INVITE", "-1 INVITE", "1 BYE", "1", "INVITE 1", "٣ INVITE"])
def test_cseq_must_fit_and_agree(value: str) -> None:
    assert refusal(invite_with(cseq=value)).status == 400


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"INVITE sip:a@b SIP/7.0", 505),
        (b"INVITE <sip:a@b> SIP/2.0", 400),
        (b"INVITE sip:a@b; lr SIP/2.0", 400),
        (b"INVITE sip:a\x00@b SIP/2.0", 400),
        (b"INVITE sip:a\x7f@b SIP/2.0", 400),
        (b"INVITE  sip:a@b SIP/2.0", 400),
        (b"IN VITE", 400),
        (b"INVITE sip:" + b"a" * MAX_START_LINE + b" SIP/2.0", 414),
    ],
)
def test_bad_start_lines(start: bytes, status: int) -> None:
    rest = sample("invite.sip").partition(b"\r\n")[2]
    assert refusal(start + b"\r\n" + rest).status == status


@pytest.mark.parametrize("line", [b"no colon", b"Bad Name: x", b": x", b"X\xc3\xa9: x"])
def test_bad_header_lines(line: bytes) -> None:
    assert refusal(invite_with(add=line + b"\r\n")).status == 400


@pytest.mark.parametrize("line", [b"A: b\nB: c", b"A: b\rB: c", b"A: b\n c"])
def test_bare_line_breaks_are_refused(line: bytes) -> None:
    assert refusal(invite_with(add=line + b"\r\n")).status == 400


@pytest.mark.parametrize("line", [b"A: b\nB: c", b"A: b\rVia: c", b"A: b\n c", b"A: b\0c", b"Subject: \0", b'A: "b\0"', b"A: b\\\0"])
def test_what_is_broken_in_one_line_is_answered_all_the_same(line: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_message(invite_with(add=line + b"\r\n"))
    response = bytes(caught.value.request.make_response(400))
    assert response.count(b"\r") == response.count(b"\n") == response.count(b"\r\n")
    assert response.count(b"Via:") == 1


def test_a_nul_in_the_via_leaves_the_way_back() -> None:
    data = invite_with().replace(b"\r\nVia: ", b"\r\nVia: \0", 1)
    with pytest.raises(BadRequestError) as caught:
        parse_message(data)
    (good,) = parse_message(invite_with()).headers("via")
    assert caught.value.request.make_response(400).headers("via") == [good]


def test_a_nul_may_be_escaped_within_quotes() -> None:
    line = b'A: "b\\\0 \\" c" <sip:a@b>'
    assert line in bytes(parse_message(invite_with(add=line + b"\r\n")))


def test_a_nul_in_the_body_is_nobodys_business_here() -> None:
    message = parse_message(invite_with(content_length="3").partition(b"\r\n\r\n")[0] + b"\r\n\r\na\0b")
    assert message.body == b"a\0b"


def test_too_many_headers() -> None:
    assert refusal(invite_with(add=b"A: b\r\n" * MAX_HEADERS)).status == 400


def test_too_many_vias() -> None:
    assert refusal(invite_with(add=b"Via: SIP/2.0/UDP h\r\n" * MAX_VIAS)).status == 400


def test_vias_in_one_line_count_as_well() -> None:
    more = MAX_VIAS - 1  # the sample has one
    line = b"Via: " + b", ".join([b"SIP/2.0/UDP h"] * more) + b"\r\n"
    assert len(parse_message(invite_with(add=line)).values("via")) == MAX_VIAS
    assert refusal(invite_with(add=line.replace(b"h\r\n", b"h, SIP/2.0/UDP h\r\n"))).status == 400


def test_too_long_header() -> None:
    assert refusal(invite_with(add=b"A: " + b"b" * MAX_HEADER_LINE + b"\r\n")).status == 400
    folded = b"A: b" + b"\r\n b" * MAX_HEADER_LINE + b"\r\n"
    assert refusal(invite_with(add=folded)).status == 400


def test_too_large_datagram() -> None:
    assert refusal(b"x" * (MAX_DATAGRAM + 1)).status == 413 + 100


def test_an_ack_is_never_answerable() -> None:
    data = sample("invite_broken.sip").replace(b"INVITE", b"ACK")
    assert not isinstance(refusal(data), BadRequestError)


@pytest.mark.parametrize("status", ["099", "700", "2000", "abc"])
def test_status_range(status: str) -> None:
    refusal(sample("ok.sip").replace(b"200", status.encode()))


def test_a_response_needs_no_reason() -> None:
    message = parse_message(sample("ok.sip").replace(b"200 OK", b"200"))
    assert isinstance(message, Response)
    assert message.reason == ""


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b"\n"])
def test_keepalives(data: bytes) -> None:
    assert is_keepalive(data)


def test_missing_blank_line() -> None:
    data = invite_with(drop="Content-Length", content_type="text/plain").partition(b"\r\n\r\n")[0]
    assert parse_message(data + b"\r\n").body == b""
    assert parse_message(data).body == b""


def test_endless_spaces_cost_little() -> None:
    """Each of these takes seconds with a pattern that backtracks."""
    blank = " " * (MAX_HEADER_LINE - 200)
    for value in (f"a{blank}!", f"<sip:a@b{blank}", f'"a"{blank}!', f"<sip:a@b>;p{blank}!", f'<sip:a@b>;p="x"{blank}!'):
        assert refusal(invite_with(to=value)).status == 400
    for value in (f"SIP/2.0/UDP h{blank}!", f"SIP/2.0/UDP h;p{blank}!", f"SIP{blank}/!"):
        assert refusal(invite_with(via=value)).status == 400


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_random_octets_are_read_or_refused(data: bytes) -> None:
    try:
        parse_message(data)
    except PeerError:
        return


@settings(max_examples=400)
@given(st.sampled_from(GOOD), st.data())
def test_damaged_messages_are_read_or_refused(name: str, data: st.DataObject) -> None:
    raw = bytearray(sample(name))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(raw) - 1))
        raw[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        message = parse_message(bytes(raw))
    except PeerError:
        return
    again = parse_message(bytes(message))
    assert (again.keys, again.body, again.call_id) == (message.keys, message.body, message.call_id)
