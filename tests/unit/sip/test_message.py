from __future__ import annotations

import pytest

from sipproxy.sip import NameAddr, PeerError, Request, Response, UsageError, parse_message
from tests.unit.sip.wire import sample


def request(name: str = "invite.sip") -> Request:
    message = parse_message(sample(name))
    assert isinstance(message, Request)
    return message


def test_every_spelling_of_a_name_is_found() -> None:
    message = request("invite_compact.sip")
    assert message.call_id == message.header("I") == message.header("call-id") == "compact-1@pbx.example"
    assert message.cseq.number == 7
    assert message.header("X-Folded") == "one two"
    assert message.values("Via")[1] == "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK-inner"
    assert message.to == NameAddr("", "sip:app@sip.example")
    assert message.count("x-secret") == 1


def test_folded_values_are_read() -> None:
    message = request("options_folded.sip")
    assert message.top_via.branch == "z9hG4bK-three"
    assert message.from_ == NameAddr("A. B. Caller", "sip:caller@pbx.example", (("tag", "f3"),))
    assert message.cseq.method == "OPTIONS"


def test_removing_by_key_finds_every_spelling() -> None:
    message = request("invite_compact.sip")
    message.remove_if(lambda key: key.startswith("x-"))
    assert b"secret" not in bytes(message).lower()
    assert b"\ttwo" not in bytes(message)


def test_edits_leave_the_other_lines_alone() -> None:
    message = request()
    before = bytes(message).split(b"\r\n")
    message.prepend("Via", "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bK-p")
    message.replace("Max-Forwards", "69")
    after = bytes(message).split(b"\r\n")
    assert after[1].startswith(b"Via: SIP/2.0/UDP 203.0.113.1")
    assert [line for line in before if line not in after] == [b"Max-Forwards: 70"]
    assert after.index(b"Max-Forwards: 69") == before.index(b"Max-Forwards: 70") + 1


def test_top_value_of_a_combined_line_is_replaced_and_dropped() -> None:
    message = request("invite_compact.sip")
    message.replace_top_value("Via", "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK-new")
    assert message.top_via.branch == "z9hG4bK-new"
    message.replace_top_value("Via", None)
    assert message.values("Via") == ["SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK-inner"]
    with pytest.raises(UsageError):
        message.replace_top_value("Route", None)


def test_typed_values_follow_edits() -> None:
    message = request()
    assert (message.top_via.branch, message.max_forwards, message.uri.user) == ("z9hG4bK-one", 70, "app")
    message.prepend("Via", "SIP/2.0/UDP h;branch=z9hG4bK-x")
    message.replace("From", "<sip:a@b>;tag=new")
    message.set_uri("sip:other@sip.example")
    assert (message.top_via.branch, message.from_.tag, message.uri.user) == ("z9hG4bK-x", "new", "other")


def test_replace_values() -> None:
    message = request()
    message.replace_values("Allow", ["INVITE", "ACK"])
    assert message.headers("Allow") == ["INVITE", "ACK"]
    message.replace_values("Via", [])
    assert message.count("Via") == 0
    with pytest.raises(PeerError):
        _ = message.top_via


def test_copies_are_independent() -> None:
    message = request()
    before = bytes(message)
    other = message.copy()
    other.remove("Via")
    other.set_body(b"x", "text/plain")
    other.set_uri("sip:x@y")
    assert bytes(message) == before
    assert other.header("Content-Length") == "1"


def test_a_response_copies_what_it_must() -> None:
    response = request("invite_compact.sip").make_response(486, to_tag="t9")
    assert response.reason == "Busy Here"
    assert response.to.tag == "t9"
    assert response.values("Via") == request("invite_compact.sip").values("Via")
    assert isinstance(parse_message(bytes(response)), Response)
    assert response.copy().is_final


def test_a_to_tag_is_kept() -> None:
    message = request()
    message.replace("To", "<sip:a@b>;tag=old")
    assert message.make_response(200, to_tag="new").to.tag == "old"


def test_built_messages_parse() -> None:
    headers = [("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"), ("f", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("i", "x")]
    made = Request.build("INVITE", "sip:c@d", [*headers, ("CSeq", "1 INVITE")], b"body")
    assert parse_message(bytes(made)).body == b"body"
    answer = Response.build(299, [*headers, ("CSeq", "1 INVITE")])
    assert bytes(answer).startswith(b"SIP/2.0 299 Unknown\r\n")
    assert answer.contact is None


@pytest.mark.parametrize("text", ["a\r\nB: c", "a\nb", "a\rb"])
def test_line_breaks_never_enter_a_message(text: str) -> None:
    message = request()
    with pytest.raises(UsageError):
        message.append("Subject", text)
    with pytest.raises(UsageError):
        message.append(text, "x")
    with pytest.raises(UsageError):
        message.set_uri(text)
    with pytest.raises(UsageError):
        Request.build("INVITE", text, [])


def test_other_schemes_are_416() -> None:
    message = request()
    message.set_uri("tel:+15551234567")
    with pytest.raises(PeerError) as caught:
        _ = message.uri
    assert caught.value.status == 416


def test_octets_beyond_utf8_survive() -> None:
    data = sample("invite.sip").replace(b"Desk 7", b"\xff\x01\xfe")
    message = parse_message(data)
    message.replace("From", str(message.from_))
    assert bytes(message) == data
