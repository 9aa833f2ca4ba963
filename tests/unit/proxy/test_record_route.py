from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.headers.flow import MAX_LISTENERS, Flow, MovedFlow
from sipproxy.headers.record_route import InnerRoute, RouteToken, looks_like_token
from sipproxy.seal import DialogSeal, sealed_length
from sipproxy.sip import UsageError
from sipproxy.transactions.listener import Transport

KEY = b"key"
SEAL = DialogSeal((KEY,), "call", "tag")
addresses = st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65_535))
call_ids = st.from_regex(r"c-[0-9a-f]{8}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fullmatch=True)
flows = st.builds(Flow, addresses, st.booleans(), st.sampled_from(Transport), st.integers(0, MAX_LISTENERS - 1))
values = st.builds(RouteToken, call_ids, addresses, addresses, flows, st.booleans())
moved_flows = st.builds(MovedFlow, flows, addresses)
TOKEN = RouteToken(
    "c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d", ("10.0.0.2", 6161), ("10.0.0.9", 22222), Flow(("198.51.100.7", 5080)), offered=True
)


@given(values)
def test_a_token_comes_back_as_it_was(token: RouteToken) -> None:
    text = token.sign(SEAL)
    assert len(text) == 64
    assert text.replace("-", "a").replace("_", "a").isalnum()
    assert RouteToken.parse(text, SEAL) == token


@given(st.integers(0, 63), st.sampled_from("ABCabc019-_"))
def test_a_changed_token_is_refused(position: int, character: str) -> None:
    text = TOKEN.sign(SEAL)
    forged = text[:position] + character + text[position + 1 :]
    if forged != text:
        assert RouteToken.parse(forged, SEAL) is None


@pytest.mark.parametrize(
    ("key", "call", "tag"), [(b"other", "call", "tag"), (KEY, "other", "tag"), (KEY, "call", "other"), (KEY, "call\ntag", "")]
)
def test_a_token_belongs_to_one_dialog(key: bytes, call: str, tag: str) -> None:
    text = TOKEN.sign(SEAL)
    assert RouteToken.parse(text, DialogSeal((key,), call, tag)) is None


def test_the_first_key_signs_and_all_of_them_verify() -> None:
    old, new = DialogSeal((b"old", b"new"), "call", "tag"), DialogSeal((b"new", b"old"), "call", "tag")
    assert TOKEN.sign(new) == TOKEN.sign(DialogSeal((b"new",), "call", "tag")) != TOKEN.sign(old)
    for seal in (old, new):
        assert [RouteToken.parse(TOKEN.sign(signer), seal) for signer in (old, new)] == [TOKEN, TOKEN]
    assert RouteToken.parse(TOKEN.sign(new), DialogSeal((b"old",), "call", "tag")) is None


@given(st.text(max_size=70))
def test_other_texts_are_no_tokens(text: str) -> None:
    assert RouteToken.parse(text, SEAL) is None


def test_a_token_has_a_fixed_length() -> None:
    assert looks_like_token("x" * 64)
    assert not looks_like_token("x" * 63)
    assert RouteToken.parse("é" * 64, SEAL) is None
    with pytest.raises(UsageError):
        replace(TOKEN, call_id="c-1").sign(SEAL)


@given(moved_flows)
def test_a_flow_comes_back_as_it_was(moved: MovedFlow) -> None:
    text = moved.sign(SEAL)
    assert len(text) == 30
    assert MovedFlow.parse(text, SEAL) == moved


MOVED = MovedFlow(Flow(("198.51.100.7", 5080), behind_nat=True), ("10.0.0.1", 6162))


@given(st.integers(0, 29), st.sampled_from("ABCabc019-_"))
def test_a_changed_flow_is_none(position: int, character: str) -> None:
    text = MOVED.sign(SEAL)
    forged = text[:position] + character + text[position + 1 :]
    if forged != text:
        assert MovedFlow.parse(forged, SEAL) is None


@pytest.mark.parametrize(("key", "call", "tag"), [(b"other", "call", "tag"), (KEY, "other", "tag"), (KEY, "call", "other")])
def test_a_flow_belongs_to_one_dialog(key: bytes, call: str, tag: str) -> None:
    text = MOVED.sign(SEAL)
    assert MovedFlow.parse(text, DialogSeal((key,), call, tag)) is None


@given(st.text(max_size=40))
def test_other_texts_are_no_flows(text: str) -> None:
    assert MovedFlow.parse(text, SEAL) is None


def test_a_token_and_a_flow_are_never_taken_for_each_other() -> None:
    # A transport that there is not comes from another release; it is no flow of ours either.
    assert Flow.from_flags(0b110, ("198.51.100.7", 5080)) is None
    text = TOKEN.sign(SEAL)
    assert MovedFlow.parse(text[: len(MOVED.sign(SEAL))], SEAL) is None
    assert RouteToken.parse(SEAL.close(b"flow", SEAL.open(b"token", text) or b""), SEAL) is None


@pytest.mark.parametrize(
    ("flow", "reach"),
    [
        (Flow(("198.51.100.7", 5080)), "direct"),
        (Flow(("198.51.100.7", 5080), behind_nat=True), "nat"),
        (Flow(("198.51.100.7", 5080), transport=Transport.TCP), "stream"),
        (Flow(("198.51.100.7", 5080), behind_nat=True, transport=Transport.TLS), "stream"),
    ],
)
def test_the_call_flow_is_told_how_the_caller_is_reached(flow: Flow, reach: str) -> None:
    assert flow.reach == reach


@given(st.binary(max_size=100))
def test_what_is_sealed_is_opened_and_has_one_spelling(payload: bytes) -> None:
    text = SEAL.close(b"any", payload)
    assert len(text) == sealed_length(len(payload))
    assert SEAL.open(b"any", text) == payload
    assert SEAL.open(b"other", text) is None
    assert SEAL.open(b"any", text + "=") is None
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # The last character has bits that stand for nothing: with another value in them it reads alike, and is not ours.
    assert [last for last in alphabet if SEAL.open(b"any", text[:-1] + last) is not None] == [text[-1]]


@pytest.mark.parametrize("parse", [RouteToken.parse, MovedFlow.parse, InnerRoute.parse])
@pytest.mark.parametrize("raw", ["", "A", "AAAA", "é" * 64, "\udc80" * 30, "A" * 4_096])
def test_what_is_too_short_too_long_or_no_base64_is_none(parse: Callable[[str, DialogSeal], object], raw: str) -> None:
    assert parse(raw, SEAL) is None
