"""Keys in a session description: which lines are honoured, and which keys two ends agree on."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.secure.sdes import MAX_LINES, Crypto, KeyRing, Keys, Suite, usable

KEY = bytes(range(30))
TEXT = base64.b64encode(KEY).decode()
LINE = f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}"


@pytest.mark.parametrize(
    "value",
    [
        LINE,
        f"{LINE}|2^31",
        f"{LINE}|1048576",
        f" 1  aes_cm_128_hmac_sha1_80\tinline:{TEXT} ".strip(),
        f"{LINE} WSH=64",
        f"{LINE} -unknown=1",
    ],
)
def test_what_telephones_write_is_read(value: str) -> None:
    assert Crypto.parse(value) == Crypto(1, Suite.AES_CM_128_80, KEY)


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("padded", [True, False])
def test_each_suite_has_its_length(suite: Suite, padded: bool) -> None:
    key = bytes(suite.octets)
    text = base64.b64encode(key).decode()
    assert Crypto.parse(f"7 {suite.value} inline:{text if padded else text.rstrip('=')}") == Crypto(7, suite, key)
    for wrong in (key[:-1], key + b"\0"):
        with pytest.raises(ValueError, match=f"octets; {suite.value} needs {suite.octets}"):
            Crypto.parse(f"7 {suite.value} inline:{base64.b64encode(wrong).decode()}")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "It is no crypto attribute."),
        ("x AES_CM_128_HMAC_SHA1_80 inline:AA", "It is no crypto attribute."),
        ("1 AES_CM_128_HMAC_SHA1_80", "It is no crypto attribute."),
        (f"1 F8_128_HMAC_SHA1_80 inline:{TEXT}", "The suite F8_128_HMAC_SHA1_80 is not known."),
        (f"{LINE}|2^31|1:4", "The key has an index, or another form than inline."),
        (f"{LINE};inline:{TEXT}", "The key has an index, or another form than inline."),
        ("1 AES_CM_128_HMAC_SHA1_80 uri:http://h/", "The key has an index, or another form than inline."),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:A", "The key is not base64."),
        (f"{LINE} UNENCRYPTED_SRTP", "The parameter UNENCRYPTED_SRTP is not supported."),
        (f"{LINE} KDR=1 WSH=64", "The parameter KDR=1 is not supported."),
    ],
)
def test_what_cannot_be_honoured_says_why(value: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        Crypto.parse(value)
    assert str(caught.value) == sentence


def test_a_line_is_written_as_it_is_read() -> None:
    line = Crypto(3, Suite.AES_128_GCM, bytes(28))
    assert Crypto.parse(bytes(line).decode()) == line
    assert "AAAA" not in repr(line)


@given(st.text(max_size=80), st.integers(0, len(LINE)))
def test_any_text_is_read_or_refused(text: str, at: int) -> None:
    for value in (text, LINE[:at] + text, LINE[:at] + text + LINE[at:]):
        for line in usable([value]):
            assert len(line.key) == line.suite.octets


def test_only_so_many_lines_are_looked_at() -> None:
    assert len(usable([LINE] * (MAX_LINES + 5))) == MAX_LINES
    assert usable(["nonsense", LINE]) == (Crypto(1, Suite.AES_CM_128_80, KEY),)


def ring(seed: int = 1) -> KeyRing:
    """Return a ring whose keys are all different."""
    seeds = itertools.count(seed, 10)
    return KeyRing(lambda octets: bytes((next(seeds),)) * octets)


def crypto(tag: int, suite: Suite, octet: int = 9) -> Crypto:
    return Crypto(tag, suite, bytes((octet,)) * suite.octets)


def test_the_peers_first_suite_is_taken_and_stays_with_its_key() -> None:
    ours = ring()
    first = ours.answer((crypto(4, Suite.AES_CM_128_80), crypto(5, Suite.AES_256_GCM)), None)
    assert (first.ours.tag, first.ours.suite, first.theirs.tag) == (4, Suite.AES_CM_128_80, 4)
    again = ours.answer((crypto(1, Suite.AES_256_GCM), crypto(2, Suite.AES_CM_128_80)), first)
    assert again.ours.tag == 2
    assert again.ours.encrypts_like(first.ours)


def test_a_key_that_was_left_is_never_taken_up_again() -> None:
    ours, keys = ring(), []
    in_use: Keys | None = None
    for suite in (Suite.AES_CM_128_80, Suite.AES_256_GCM, Suite.AES_CM_128_80, None, Suite.AES_CM_128_80):
        in_use = None if suite is None else ours.answer((crypto(1, suite),), in_use)
        keys += [] if in_use is None else [in_use.ours.key]
    assert len(set(keys)) == len(keys) == 4


def test_two_ends_agree_on_an_offer() -> None:
    caller, callee = ring(1), ring(2)
    answered = callee.answer(caller.offer(None), None)
    agreed = caller.agree((answered.ours,))
    assert agreed == Keys(answered.theirs, answered.ours)
    offered = caller.offer(agreed)
    assert {line.suite for line in offered} == set(Suite)
    assert any(line.encrypts_like(answered.theirs) for line in offered)


def test_an_answer_that_is_offered_again_is_agreed_on() -> None:
    caller, callee = ring(1), ring(2)
    keys = callee.answer((crypto(7, Suite.AES_CM_128_32),), None)
    refreshed = caller.answer((keys.ours,), None)
    assert callee.agree((refreshed.ours,)) == Keys(keys.ours, refreshed.ours)


@pytest.mark.parametrize("answer", [(), (crypto(9, Suite.AES_256_GCM),), (crypto(1, Suite.AES_CM_128_32),)])
def test_an_answer_with_a_key_that_nobody_offered_is_none(answer: tuple[Crypto, ...]) -> None:
    caller = ring()
    caller.offer(None)
    assert caller.agree(answer) is None
