from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.headers.flow import MAX_LISTENERS, Flow, MovedFlow
from sipproxy.headers.record_route import RouteToken, looks_like_token
from sipproxy.sip import UsageError
from sipproxy.transactions.listener import Transport

KEY = b"key"
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
    text = token.sign(key=KEY, sip_call_id="call", caller_tag="tag")
    assert len(text) == 64
    assert text.replace("-", "a").replace("_", "a").isalnum()
    assert RouteToken.parse(text, key=KEY, sip_call_id="call", caller_tag="tag") == token


@given(st.integers(0, 63), st.sampled_from("ABCabc019-_"))
def test_a_changed_token_is_refused(position: int, character: str) -> None:
    text = TOKEN.sign(key=KEY, sip_call_id="call", caller_tag="tag")
    forged = text[:position] + character + text[position + 1 :]
    if forged != text:
        assert RouteToken.parse(forged, key=KEY, sip_call_id="call", caller_tag="tag") is None


@pytest.mark.parametrize(
    ("key", "call", "tag"), [(b"other", "call", "tag"), (KEY, "other", "tag"), (KEY, "call", "other"), (KEY, "call\ntag", "")]
)
def test_a_token_belongs_to_one_dialog(key: bytes, call: str, tag: str) -> None:
    text = TOKEN.sign(key=KEY, sip_call_id="call", caller_tag="tag")
    assert RouteToken.parse(text, key=key, sip_call_id=call, caller_tag=tag) is None


@given(st.text(max_size=70))
def test_other_texts_are_no_tokens(text: str) -> None:
    assert RouteToken.parse(text, key=KEY, sip_call_id="call", caller_tag="tag") is None


def test_a_token_has_a_fixed_length() -> None:
    assert looks_like_token("x" * 64)
    assert not looks_like_token("x" * 63)
    assert RouteToken.parse("é" * 64, key=KEY, sip_call_id="call", caller_tag="tag") is None
    with pytest.raises(UsageError):
        replace(TOKEN, call_id="c-1").sign(key=KEY, sip_call_id="call", caller_tag="tag")


@given(moved_flows)
def test_a_flow_comes_back_as_it_was(moved: MovedFlow) -> None:
    text = moved.sign(key=KEY, sip_call_id="call", caller_tag="tag")
    assert len(text) == 32
    assert MovedFlow.parse(text, key=KEY, sip_call_id="call", caller_tag="tag") == moved


MOVED = MovedFlow(Flow(("198.51.100.7", 5080), behind_nat=True), ("10.0.0.1", 6162))


@given(st.integers(0, 31), st.sampled_from("ABCabc019-_"))
def test_a_changed_flow_is_none(position: int, character: str) -> None:
    text = MOVED.sign(key=KEY, sip_call_id="call", caller_tag="tag")
    forged = text[:position] + character + text[position + 1 :]
    if forged != text:
        assert MovedFlow.parse(forged, key=KEY, sip_call_id="call", caller_tag="tag") is None


@pytest.mark.parametrize(("key", "call", "tag"), [(b"other", "call", "tag"), (KEY, "other", "tag"), (KEY, "call", "other")])
def test_a_flow_belongs_to_one_dialog(key: bytes, call: str, tag: str) -> None:
    text = MOVED.sign(key=KEY, sip_call_id="call", caller_tag="tag")
    assert MovedFlow.parse(text, key=key, sip_call_id=call, caller_tag=tag) is None


@given(st.text(max_size=40))
def test_other_texts_are_no_flows(text: str) -> None:
    assert MovedFlow.parse(text, key=KEY, sip_call_id="call", caller_tag="tag") is None


def test_a_token_and_a_flow_are_never_taken_for_each_other() -> None:
    # A transport that there is not comes from another release; it is no flow of ours either.
    assert Flow.from_flags(0b110, ("198.51.100.7", 5080)) is None
    assert (
        MovedFlow.parse(TOKEN.sign(key=KEY, sip_call_id="call", caller_tag="tag")[:32], key=KEY, sip_call_id="call", caller_tag="tag")
        is None
    )


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
