from __future__ import annotations

import json

import pytest

from mediarelay.ng.bencode import decode, encode
from mediarelay.ng.control import MAX_BODY, Command, ReplyCache, split_cookie
from mediarelay.ng.limits import MAX_COOKIE, MAX_REPLIES, MAX_REPLY_OCTETS, MAX_TEXT, REPLY_SECONDS


def test_replies_use_the_notation_of_the_command() -> None:
    assert Command.parse(b"{}").write({"result": "ok", "sdp": b"v=0"}) == b'{"result":"ok","sdp":"v=0"}'
    assert Command.parse(b"de").write({"result": "ok", "sdp": b"v=0"}) == b"d6:result2:ok3:sdp3:v=0e"
    with pytest.raises(TypeError, match="JSON has no notation"):
        Command.parse(b"{}").write({"result": object()})


def test_a_reply_always_fits_a_datagram() -> None:
    reason = "The reply does not fit a datagram."
    # Octets that are not UTF-8 grow when JSON writes them.
    for octets in (b"\xff" * 30_000, bytes(20_000)):
        assert json.loads(Command.parse(b"{}").write({"sdp": octets})) == {"result": "error", "error-reason": reason}
    for size in (MAX_BODY, 2 * MAX_BODY):
        assert decode(Command.parse(b"de").write({"sdp": bytes(size)})) == {b"result": b"error", b"error-reason": reason.encode()}
    assert json.loads(Command.parse(b"{}").write({"sdp": ("é" * 30_000).encode()})) == {"sdp": "é" * 30_000}


@pytest.mark.parametrize("body", [b"", b"le", b"{", b"[]", b"[" * 60_000, b'{"a":' * 30_000, b"\xff", b"d3:fooe"])
def test_malformed_commands_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Command.parse(body)


@pytest.mark.parametrize("key", ["delete-delay", "delete delay", "delete_delay", "Delete-Delay"])
@pytest.mark.parametrize("value", [7, "7"])
def test_a_key_has_many_spellings_and_a_number_two(key: str, value: object) -> None:
    for body in (encode({key: value}), json.dumps({key: value}).encode()):
        assert Command.parse(body).number("delete-delay", 0) == 7


def test_of_two_spellings_the_first_counts() -> None:
    # Kamailio sends both.
    assert Command.parse(b"d12:delete delayi5e12:delete-delay1:6e").number("delete-delay", 0) == 5


@pytest.mark.parametrize("value", [True, None, 1.5, "", "1.5", "x", "9" * 19, [], {}])
def test_malformed_numbers_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^The limit must be an integer\.$"):
        Command.parse(json.dumps({"limit": value}).encode()).number("limit", 0)


def test_a_text_may_be_missing_or_empty() -> None:
    command = Command.parse(encode({"to-tag": ""}))
    assert command.text("to-tag") is command.text("label") is None
    for key in ("to-tag", "call-id"):
        with pytest.raises(ValueError, match=f"^The command has no {key}\\.$"):
            command.require(key)
        with pytest.raises(ValueError, match=f"^The command has no {key}\\.$"):
            command.octets(key)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (5, "The label must be text."),
        ([], "The label must be text."),
        (b"\xff", "The label is not UTF-8."),
        ("x" * (MAX_TEXT + 1), "The label is too long."),
    ],
)
def test_malformed_texts_are_refused(value: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Command.parse(encode({"label": value})).text("label")


def test_lists_of_texts() -> None:
    command = Command.parse(encode({"flags": ["a", b"\xff"], "replace": "origin", "direction": ["external", 5], "rtcp-mux": {}}))
    assert command.texts("flags") == ("a", "\N{REPLACEMENT CHARACTER}")
    assert command.texts("replace") == ("origin",)
    assert command.texts("received-from") == ()
    for key in ("direction", "rtcp-mux"):
        with pytest.raises(ValueError, match=f"^The {key} must be a list of texts\\.$"):
            command.texts(key)


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
    for number in range(1_000):
        cache.put(("a", 1), b"%d" % number, bytes(60_000), 20.0)
        cache.put(("a", 1), b"same", bytes(60_000), 20.0)
    assert len(cache) == MAX_REPLY_OCTETS // 60_000
