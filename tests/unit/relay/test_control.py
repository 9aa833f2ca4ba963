from __future__ import annotations

import pytest

from mediarelay.bencode import encode
from mediarelay.core.addresses import Side
from mediarelay.core.control import Command, MediaCommand, ReplyCache, split_cookie
from mediarelay.core.limits import MAX_COOKIE, MAX_REPLIES, MAX_SDP, MAX_TEXT, REPLY_SECONDS

OFFER = {
    "command": "offer",
    "call-id": "c-1",
    "from-tag": "a",
    "sdp": b"v=0\xe9",
    "direction": ["external", "internal"],
    "replace": ["origin", "session connection"],
    "ICE": "remove",
    "received-from": ["IP4", "192.0.2.1"],
    "flags": ["sipuri-learn-nat"],
}


def test_an_offer_in_bencode_and_json() -> None:
    ask = MediaCommand.parse(Command.parse(encode(OFFER)))
    assert ask == MediaCommand("c-1", "a", None, b"v=0\xe9", (Side.EXTERNAL, Side.INTERNAL), "192.0.2.1", True, True, True)
    text = Command.parse('{"command":"offer","call-id":"c-1","from-tag":"a","sdp":"v=0é","flags":[]}'.encode())
    assert text.as_json
    assert MediaCommand.parse(text) == MediaCommand("c-1", "a", None, "v=0é".encode(), None, None, False, False, False)


def test_replies_use_the_notation_of_the_command() -> None:
    assert Command.parse(b"{}").write({"result": "ok", "sdp": b"v=0"}) == b'{"result":"ok","sdp":"v=0"}'
    assert Command.parse(b"de").write({"result": "ok", "sdp": b"v=0"}) == b"d6:result2:ok3:sdp3:v=0e"
    with pytest.raises(TypeError, match="JSON has no notation"):
        Command.parse(b"{}").write({"result": object()})


@pytest.mark.parametrize("body", [b"", b"le", b"{", b"[]", b"[" * 60_000, b'{"a":' * 30_000, b"\xff", b"d3:fooe"])
def test_what_is_no_command(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Command.parse(body)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"call-id": b""}, "The command has no call-id."),
        ({"call-id": 7}, "The command has no call-id."),
        ({"from-tag": "x" * (MAX_TEXT + 1)}, "The from-tag is too long."),
        ({"to-tag": b"\xff"}, "The to-tag is not UTF-8."),
        ({"sdp": b"v" * (MAX_SDP + 1)}, "The session description is too long."),
        ({"direction": ["external"]}, "The direction must name two of the interfaces"),
        ({"direction": ["external", "pub"]}, "The direction must name two of the interfaces"),
    ],
)
def test_what_an_offer_must_say(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MediaCommand.parse(Command.parse(encode({**OFFER, **change})))


@pytest.mark.parametrize("received", [["IP6", "::1"], ["IP4"], "IP4", [["IP4"], 1]])
def test_only_an_ipv4_source_is_used(received: object) -> None:
    assert MediaCommand.parse(Command.parse(encode({**OFFER, "received-from": received}))).received_from is None


def test_cookies() -> None:
    assert split_cookie(b"17_4 d4:x") == (b"17_4", b"d4:x")
    for datagram in (b"", b"nothing", b" d", b"c" * (MAX_COOKIE + 1) + b" de"):
        with pytest.raises(ValueError, match="no cookie"):
            split_cookie(datagram)


def test_replies_are_remembered_for_a_while_and_in_number() -> None:
    cache = ReplyCache()
    cache.put(("a", 1), b"c", b"one", 0.0)
    assert cache.get(("a", 1), b"c", REPLY_SECONDS - 0.1) == b"one"
    assert cache.get(("a", 2), b"c", 0.0) is None
    assert cache.get(("a", 1), b"c", REPLY_SECONDS) is None
    for number in range(MAX_REPLIES + 10):
        cache.put(("a", 1), b"%d" % number, b"", 1.0)
    assert len(cache) == MAX_REPLIES
    cache.put(("a", 1), b"later", b"", 1.0 + REPLY_SECONDS)
    assert len(cache) == 1
