"""What the application of a call says of where the caller's media may be: with the first commands, for the whole call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from daemonkit.address import Address
from mediarelay.core.learning import NAT_PACKETS, Learner
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, ports_in, rtp, sdp

SBC: Address = ("198.51.100.200", 5000)
NODE = (ENGINE, 6000)
SOURCES: dict[str, Any] = {"sipuri_media_sources": ["198.51.100.128/25"]}
NAT: dict[str, Any] = {"flags": ["sipuri-learn-nat"]}


def caller_of(harness: RelayHarness) -> Learner:
    (session,) = harness.relay.table
    (leg,) = (leg for party in (0, 1) for leg in session.legs(party) if not session.parties[party].policy.trusted)
    return leg.learner


def test_media_goes_first_to_a_named_network_though_the_sip_messages_come_from_elsewhere() -> None:
    harness = RelayHarness()
    inside = harness.offer(sdp(*SBC), **SOURCES)
    outside = harness.answer(**SOURCES)
    assert harness.media(inside, rtp(1), NODE) == (("10.0.0.1", outside), SBC)
    other = RelayHarness()
    inside = other.offer(sdp("198.51.100.100", 5000), source=SBC[0], **SOURCES)
    other.answer()
    assert other.media(inside, rtp(1), NODE) is None


def test_a_call_whose_first_offer_comes_from_inside_has_them_as_well() -> None:
    harness = RelayHarness()
    reply = harness.ng(
        "offer",
        call_id="c-1",
        from_tag="b",
        to_tag="a",
        sdp=sdp(ENGINE, 6000),
        direction=["internal", "external"],
        **{"sipuri-media-sources": SOURCES["sipuri_media_sources"]},
    )
    (outside,) = ports_in(reply[b"sdp"])
    reply = harness.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(*SBC), received_from=["IP4", CALLER])
    (inside,) = ports_in(reply[b"sdp"])
    assert harness.media(inside, rtp(1), NODE) == (("10.0.0.1", outside), SBC)


@pytest.mark.parametrize("restarts", [False, True])
def test_later_commands_without_them_change_nothing(restarts: bool) -> None:
    harness = RelayHarness()
    harness.offer(sdp("10.1.1.1", 5000), **SOURCES, **NAT)
    outside = harness.answer()
    if restarts:
        entry = json.loads(json.dumps(harness.relay.entry_of("c-1")))
        harness = RelayHarness()
        harness.relay.restore(entry, harness.now)
        harness.pump()
    assert caller_of(harness).nat
    harness.reoffer(sdp(SBC[0], 5002))
    harness.answer()
    assert (caller_of(harness).target, caller_of(harness).nat) == ((SBC[0], 5002), False)
    harness.reoffer(sdp("10.1.1.1", 5004) + b"m=audio 5006 RTP/AVP 0\r\n")
    harness.answer(sdp(ENGINE, 6000) + b"m=audio 6002 RTP/AVP 0\r\n")
    (session,) = harness.relay.table
    assert [leg.learner.nat for leg in session.legs(0)] == [True, True]
    assert [leg.learner.nat for leg in session.legs(1)] == [False, False]
    new = session.streams[1].legs[0].rtp.local[1]
    passed = [harness.media(new, rtp(number), ("192.0.2.99", 7000)) is not None for number in range(NAT_PACKETS)]
    assert passed == [False] * (NAT_PACKETS - 1) + [True]
    assert outside != new


def test_a_trusted_side_needs_none() -> None:
    harness = RelayHarness()
    harness.offer()
    harness.answer(**SOURCES, **NAT)
    (session,) = harness.relay.table
    assert [bool(party.rules.sources) for party in session.parties] == [True, False]
