from __future__ import annotations

import json

import pytest

from mediarelay.core.addresses import Side
from mediarelay.core.events import EndCause, SessionChanged, SessionEnded
from mediarelay.core.flow import Drop
from mediarelay.core.journal import JournalEntry
from mediarelay.core.sessions import SWEEP_SECONDS, SWEEP_SHARES
from mediarelay.kernel.events import KernelEvent
from tests.unit.kernel.test_offload import Kernel, carried_call
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, rtp, sdp

PHONE, NODE = (CALLER, 5000), (ENGINE, 6000)


def record(harness: RelayHarness) -> JournalEntry:
    """Return the session's record as it would come back from a file."""
    value: JournalEntry = json.loads(json.dumps(harness.relay.entry_of("c-1")))
    return value


def call(harness: RelayHarness) -> tuple[int, int]:
    inside = harness.offer()
    return harness.answer(), inside


def full(harness: RelayHarness) -> bool:
    return all(pool.free == pool.size for pool in harness.relay.table.allocator.pools.values())


def test_a_session_is_looked_up_by_call_and_its_flows_by_port() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    table = harness.relay.table
    session = table.get("c-1")
    assert session is not None
    assert ([each.call_id for each in table], len(table), table.get("c-2")) == (["c-1"], 1, None)
    assert {port for _, port in table.flows} == {outside, outside + 1, inside, inside + 1}
    assert table.flows["10.0.0.1", outside] in set(session.flows())


def test_an_ended_session_reports_its_figures_and_its_ports_are_quarantined() -> None:
    harness = RelayHarness()
    outside, _ = call(harness)
    harness.media(outside, rtp(1), PHONE)
    harness.events.clear()
    harness.relay.give_up("c-1", harness.now)
    harness.relay.give_up("c-1", harness.now)
    harness.pump()
    ended, changed = (event for event in harness.events if isinstance(event, SessionEnded | SessionChanged))
    assert isinstance(ended, SessionEnded)
    assert (ended.cause, ended.figures[0].packets_in) == (EndCause.LOST, 1)
    assert changed == SessionChanged("c-1")
    assert (harness.relay.table.flows, harness.relay.table.ended) == ({}, {EndCause.LOST: 1})
    harness.advance(31)
    assert full(harness)
    assert harness.relay.get_timer() is None


def test_repeated_changes_emit_one_event_after_all_others() -> None:
    harness = RelayHarness()
    table = harness.relay.table
    session = table.new("c-9", (Side.EXTERNAL, Side.INTERNAL), harness.now)
    table.register(session, harness.now)
    for _ in range(3):
        table.note_change(session)
    assert [table.next_event(), table.next_event()] == [SessionChanged("c-9"), None]
    assert not table.has_events()


def test_commands_cannot_reach_an_ending_session_while_the_kernel_counts() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    outside, inside = carried_call(harness)
    kernel.forward(PHONE, 40)
    kept: list[KernelEvent] = []
    harness.on_kernel = kept.append
    assert harness.raw(b"last d7:call-id3:c-17:command6:delete8:from-tag1:ae") == []
    assert (len(harness.relay.table), harness.relay.idle()) == (0, True)
    assert harness.relay.table.flows[("10.0.0.1", outside)].peer is harness.relay.table.flows[("10.0.0.1", inside)]
    for event in kept:
        kernel.answer(event)
    harness.pump()
    ((reply, _),) = harness.relay.datagrams_to_send()
    assert b"7:packetsi46e" in reply
    assert harness.relay.table.flows == {}


@pytest.mark.parametrize("side", [Side.EXTERNAL, Side.INTERNAL])
def test_resuming_a_session_with_a_taken_port_claims_no_ports(side: Side) -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    later = RelayHarness()
    later.now = harness.now
    later.relay.table.allocator.pools[side].claim(outside if side is Side.EXTERNAL else inside)
    with pytest.raises(ValueError, match="is not free"):
        later.relay.restore(record(harness), later.now)
    later.pump()
    assert later.relay.idle()
    assert later.relay.table.flows == {}
    assert sum(pool.in_use for pool in later.relay.table.allocator.pools.values()) == 1
    later.advance(31)
    assert sum(pool.size - pool.free for pool in later.relay.table.allocator.pools.values()) == 1


def test_a_port_outside_the_present_range_is_not_resumed() -> None:
    harness = RelayHarness()
    call(harness)
    later = RelayHarness(internal_ports=(50000, 50099))
    with pytest.raises(ValueError, match="is not free"):
        later.relay.restore(record(harness), later.now)
    later.advance(31)
    assert full(later)


def test_a_late_packet_is_counted_and_keeps_its_scarce_port_in_quarantine() -> None:
    harness = RelayHarness(external_ports=(30000, 30003))
    outside, _ = call(harness)
    harness.ng("offer", call_id="c-2", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    harness.ng("delete", call_id="c-1", from_tag="a")
    harness.now += 1.5
    assert harness.media(outside + 1, rtp(9), PHONE) is None
    assert harness.relay.table.drops[Drop.LATE] == 1
    harness.now += 1.5
    refused = harness.ng("offer", call_id="c-3", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused[b"error-reason"] == b"Ran out of ports."
    harness.now += 1.0
    reply = harness.ng("offer", call_id="c-3", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert reply[b"result"] == b"ok"


@pytest.mark.parametrize("host", ["203.0.113.1", "10.0.0.1"])
def test_our_own_ports_are_never_a_target(host: str) -> None:
    harness = RelayHarness(allow_private=True)
    outside, inside = call(harness)
    harness.media(inside, rtp(1), NODE)
    loop = sdp(host, outside)
    harness.ng("offer", call_id="c-2", from_tag="a", sdp=loop, direction=["external", "internal"], received_from=["IP4", host])
    session = harness.relay.table.get("c-2")
    assert session is not None
    assert session.streams[0].legs[0].learner.target is None
    assert harness.media(session.streams[0].legs[0].rtp.local[1], rtp(1), (host, outside)) is None


def test_there_is_no_deadline_without_sessions() -> None:
    harness = RelayHarness()
    assert harness.relay.get_timer() is None
    call(harness)
    assert harness.relay.get_timer() == harness.now + SWEEP_SECONDS / SWEEP_SHARES
    harness.ng("delete", call_id="c-1", from_tag="a")
    harness.advance(31)
    assert harness.relay.get_timer() is None


def test_an_offer_cancels_a_delayed_deletion() -> None:
    harness = RelayHarness()
    call(harness)
    harness.ng("delete", call_id="c-1", from_tag="a", delete_delay=5)
    harness.advance(4)
    harness.offer()
    harness.advance(10)
    assert len(harness.relay.table) == 1
    harness.ng("delete", call_id="c-1", from_tag="a", delete_delay=5)
    harness.advance(5 + SWEEP_SECONDS)
    assert harness.relay.table.ended == {EndCause.DELETED: 1}
