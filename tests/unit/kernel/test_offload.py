from __future__ import annotations

from collections.abc import Callable

import pytest

from mediarelay.core.events import SessionEnded
from mediarelay.core.flow import Drop
from mediarelay.core.stream import FIRST_RETRY_SECONDS
from mediarelay.kernel.events import CheckWanted, CountsWanted, FlowsEnded, FlowsProven, FlowsWanted, KernelEvent
from mediarelay.kernel.flow import Check, Counts, KernelFlow, Marks, Plane, Tally
from mediarelay.kernel.offload import COUNT_SECONDS, LOST_IN_A_ROW
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, rtp, sdp

FAX = "m=image {port} udptl t38"
PHONE, NODE = (CALLER, 5000), (ENGINE, 6000)
MOVED = (CALLER, 5002)


class Kernel:
    """A simulated kernel behind a harness: what it carries, and what it has counted."""

    def __init__(self, harness: RelayHarness) -> None:
        self.harness = harness
        self.flows: dict[int, KernelFlow] = {}
        self.came: dict[int, int] = {}
        self.left: dict[int, Counts] = {}
        self.proven: list[KernelFlow] = []
        self.shortens = True
        self.asked: list[type[KernelEvent]] = []
        self.refuses: type[KernelEvent] | None = None
        harness.on_kernel = self.answer
        harness.relay.offload.start()

    def answer(self, event: KernelEvent) -> None:
        """Do what the events ask, as the shell would."""
        offload, now = self.harness.relay.offload, self.harness.now
        self.asked.append(type(event))
        if isinstance(event, self.refuses or ()):
            self.flows.clear()
            offload.failed("no", now)
        elif isinstance(event, FlowsWanted):
            for flow in event.flows:
                assert flow.mark not in self.flows
                self.flows[flow.mark], self.came[flow.mark], self.left[flow.mark] = flow, 0, Counts(0, 0)
            offload.installed(event.flows, now)
        elif isinstance(event, FlowsEnded):
            offload.ended(event, {flow.mark: self.left.pop(self.flows.pop(flow.mark).mark) for flow in event.flows}, now)
        elif isinstance(event, FlowsProven):
            self.proven += event.flows
            offload.shortened(event.flows if self.shortens else ())
        elif isinstance(event, CountsWanted):
            offload.counted(dict(self.left), now)
        else:
            offload.checked({flow.mark: Check(self.came[flow.mark], self.left[flow.mark]) for flow in event.flows}, now)

    def forward(self, source: tuple[str, int], packets: int, *, lose: bool = False) -> None:
        """Carry packets of one source."""
        (mark,) = (mark for mark, flow in self.flows.items() if flow.source == source)
        self.came[mark] += packets
        if not lose:
            before = self.left[mark]
            self.left[mark] = Counts(before.packets + packets, before.octets + 172 * packets)


def carried_call(harness: RelayHarness) -> tuple[int, int]:
    """Set a call up, let both ends speak, and let time pass until the kernel has it."""
    inside = harness.offer()
    outside = harness.answer()
    for number in range(3):
        harness.media(outside, rtp(number), PHONE)
        harness.media(inside, rtp(number, ssrc=9), NODE)
    harness.advance(0.25)
    return outside, inside


def plane_of(harness: RelayHarness) -> Plane:
    (session,) = harness.relay.table
    return session.streams[0].plane


def test_both_directions_enter_when_both_ends_are_known() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    inside = harness.offer()
    outside = harness.answer()
    harness.media(outside, rtp(1), PHONE)
    harness.advance(1)
    assert kernel.flows == {}
    harness.media(inside, rtp(1, ssrc=9), NODE)
    harness.pump()
    assert kernel.flows == {}, "a moment to settle"
    harness.advance(0.25)
    first, second = kernel.flows.values()
    assert (first.source, first.local, first.via, first.target) == (PHONE, ("10.0.0.1", outside), ("10.0.0.1", inside), NODE)
    assert (second.source, second.local, second.via, second.target) == (NODE, ("10.0.0.1", inside), ("10.0.0.1", outside), PHONE)
    assert (plane_of(harness), len(harness.relay.offload)) == (Plane.KERNEL, 2)


def test_what_the_kernel_forwards_counts_as_ours() -> None:
    harness = RelayHarness(session_timeout=10)
    kernel = Kernel(harness)
    carried_call(harness)
    for _ in range(30):
        kernel.forward(PHONE, 50)
        harness.advance(COUNT_SECONDS)
    assert not harness.relay.idle(), "the kernel's packets keep a session alive"
    kernel.forward(PHONE, 7)
    reply = harness.ng("delete", call_id="c-1", from_tag="a")
    assert reply[b"totals"][b"RTP"][b"packets"] == 6 + 30 * 50 + 7  # type: ignore[index]  # it is a dictionary
    assert kernel.flows == {}


def test_the_last_figures_name_the_plane_that_forwarded() -> None:
    harness = RelayHarness()
    Kernel(harness)
    carried_call(harness)
    harness.ng("delete", call_id="c-1", from_tag="a")
    (ended,) = (event for event in harness.events if isinstance(event, SessionEnded))
    assert [leg.plane for leg in ended.figures] == ["kernel", "kernel"]


def test_silence_in_the_kernel_ends_a_session() -> None:
    harness = RelayHarness(session_timeout=10)
    kernel = Kernel(harness)
    carried_call(harness)
    harness.advance(20)
    assert (harness.relay.idle(), kernel.flows) == (True, {})


@pytest.mark.parametrize(
    "change",
    [
        lambda harness: harness.offer(sdp(CALLER, 5500)) and harness.answer(),
        lambda harness: harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6600)),
        lambda harness: harness.offer(sdp(CALLER, 5000, media=FAX)) and harness.answer(sdp(ENGINE, 6000, media=FAX)),
        lambda harness: harness.media(outside_of(harness), rtp(1), MOVED) or harness.pump(),
    ],
    ids=["offer", "answer", "fax", "another port"],
)
def test_any_doubt_brings_a_stream_back(change: Callable[[RelayHarness], object]) -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    kernel.forward(PHONE, 5)
    change(harness)
    harness.pump()
    assert (plane_of(harness), kernel.flows) == (Plane.USERSPACE, {})
    assert next(iter(harness.relay.table)).figures()[0].packets_in == 8


def outside_of(harness: RelayHarness) -> int:
    (session,) = harness.relay.table
    return session.streams[0].legs[0].rtp.local[1]


def test_an_offer_that_is_not_accepted_leaves_the_kernel_alone() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    before = dict(kernel.flows)
    for body in (sdp(CALLER, 5500), sdp(CALLER, 5000, media=FAX), sdp(CALLER, 0), sdp("192.0.2.50", 5000)):
        harness.reoffer(body)
        assert kernel.flows == before
    harness.ng("sipuri-withdraw", call_id="c-1", from_tag="a")
    assert (plane_of(harness), kernel.flows) == (Plane.KERNEL, before)


def test_the_same_description_again_changes_nothing() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    harness.offer(sdp(CALLER, 5000, "a=sendonly"))
    harness.answer(sdp(ENGINE, 6000, "a=recvonly"))
    assert len(kernel.flows) == 2


def test_a_rebound_port_takes_over_as_without_a_kernel() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    outside, inside = carried_call(harness)
    harness.media(outside, rtp(10), MOVED)
    harness.pump()
    assert [harness.media(outside, rtp(number), MOVED) for number in (11, 12, 13)] == [None] * 3, "the old port may still be alive"
    harness.advance(0.21)
    passed = [harness.media(outside, rtp(number), MOVED) is not None for number in (14, 15, 16, 17)]
    assert passed == [False, False, True, True]
    harness.advance(FIRST_RETRY_SECONDS)
    assert {flow.source for flow in kernel.flows.values()} == {MOVED, NODE}


def test_repeated_doubts_delay_the_return_to_the_kernel_more_and_more() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    outside, inside = carried_call(harness)
    for _ in range(600):
        harness.media(outside, rtp(1, ssrc=66), (CALLER, 6666))
        for number in range(2):
            harness.media(outside, rtp(number), PHONE)
            harness.media(inside, rtp(number, ssrc=9), NODE)
        harness.pump()
        harness.advance(0.1)
    assert kernel.asked.count(FlowsWanted) <= 8


def test_a_stranger_does_not_bring_a_stream_back() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    outside, _ = carried_call(harness)
    for number in range(100):
        assert harness.media(outside, rtp(number), ("192.0.2.66", 5000)) is None
    harness.pump()
    assert len(kernel.flows) == 2
    assert harness.relay.table.drops[Drop.STRANGER] == 100


def test_a_stream_whose_packets_vanish_comes_back_for_good() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    outside, inside = carried_call(harness)
    kernel.forward(PHONE, 10, lose=True)
    harness.advance(0.2)
    assert (plane_of(harness), harness.relay.offload.lost_streams) == (Plane.USERSPACE, 1)
    for number in range(10, 20):
        harness.media(outside, rtp(number), PHONE)
        harness.media(inside, rtp(number, ssrc=9), NODE)
    harness.advance(100)
    assert kernel.asked.count(FlowsWanted) == 1


def test_silence_after_the_take_over_is_no_loss() -> None:
    harness = RelayHarness()
    Kernel(harness)
    carried_call(harness)
    harness.advance(5)
    assert (plane_of(harness), harness.relay.offload.lost_streams) == (Plane.KERNEL, 0)


def test_three_lost_streams_in_a_row_end_the_plane() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    for number in range(LOST_IN_A_ROW):
        assert harness.relay.offload.on
        carried_call(harness)
        kernel.forward(PHONE, 10, lose=True)
        harness.advance(0.2)
        harness.ng("delete", call_id="c-1", from_tag="a")
        assert harness.relay.offload.lost_streams == number + 1
    assert not harness.relay.offload.on
    assert "did not leave" in harness.relay.offload.trouble
    carried_call(harness)
    assert kernel.flows == {}


@pytest.mark.parametrize("when", [FlowsWanted, CheckWanted, CountsWanted, FlowsEnded])
def test_a_kernel_that_refuses_costs_no_call(when: type[KernelEvent]) -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    kernel.refuses = when
    outside, inside = carried_call(harness)
    if when is FlowsEnded:
        assert harness.ng("delete", call_id="c-1", from_tag="a")[b"result"] == b"ok"
        assert harness.relay.idle()
        return
    harness.advance(5)
    assert when in kernel.asked
    assert (plane_of(harness), harness.relay.offload.trouble) == (Plane.USERSPACE, "no")
    assert harness.media(outside, rtp(10), PHONE) == (("10.0.0.1", inside), NODE)


def test_a_direction_is_proven_when_its_packets_have_left() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    harness.advance(0.2)
    assert (kernel.proven, harness.relay.offload.direct_flows) == ([], 0), "nothing was sent"
    kernel.forward(PHONE, 1)
    harness.advance(COUNT_SECONDS)
    assert [flow.source for flow in kernel.proven] == [PHONE]
    kernel.forward(PHONE, 1)
    kernel.forward(NODE, 1)
    harness.advance(COUNT_SECONDS)
    assert [flow.source for flow in kernel.proven] == [PHONE, NODE], "each is told once"
    assert harness.relay.offload.direct_flows == 2
    harness.ng("delete", call_id="c-1", from_tag="a")
    assert harness.relay.offload.direct_flows == 0


def test_the_check_proves_as_well() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    kernel.forward(PHONE, 3)
    kernel.forward(NODE, 3, lose=True)
    harness.advance(0.2)
    assert kernel.asked.count(CheckWanted) == 1
    assert (kernel.proven, plane_of(harness)) == ([], Plane.USERSPACE), "where one direction is lost the stream leaves"


def test_streams_whose_routes_have_changed_leave_and_come_back() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    kernel.forward(PHONE, 5)
    harness.advance(COUNT_SECONDS)
    (flow,) = kernel.proven
    harness.relay.offload.ways_changed([flow.mark, 12345])
    harness.relay.offload.ways_changed([flow.mark])
    harness.pump()
    assert (kernel.flows, plane_of(harness)) == ({}, Plane.USERSPACE)
    assert kernel.asked.count(FlowsEnded) == 1
    harness.advance(FIRST_RETRY_SECONDS + 0.1)
    assert plane_of(harness) is Plane.KERNEL
    assert harness.relay.offload.direct_flows == 0, "it has to be proven again"
    totals = harness.ng("delete", call_id="c-1", from_tag="a")[b"totals"]
    assert totals[b"RTP"][b"packets"] == 6 + 5  # type: ignore[index]  # it is a dictionary


def test_a_flow_without_a_shorter_way_is_proven_again_when_routes_change() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    kernel.shortens = False
    for proofs in (1, 2):
        kernel.forward(PHONE, 5)
        harness.advance(COUNT_SECONDS)
        kernel.forward(PHONE, 5)
        harness.advance(COUNT_SECONDS)
        assert len(kernel.proven) == proofs
        harness.relay.offload.ways_changed([])
    assert plane_of(harness) is Plane.KERNEL


def test_a_tally_returns_the_marks_that_changed() -> None:
    tally = Tally()
    assert tally.read([(1, 0, 0), (2, 3, 30)]) == [2]
    assert tally.read([(1, 1, 10), (2, 3, 30)]) == [1]
    assert (tally.of(1), tally.of(2), tally.of(3), len(tally)) == (Counts(1, 10), Counts(3, 30), Counts(0, 0), 2)
    tally.forget([2, 3])
    assert (tally.of(2), len(tally)) == (Counts(0, 0), 1)


def test_samples_give_loss_and_jitter() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    flow = next(flow for flow in kernel.flows.values() if flow.source == PHONE)
    for second in range(1, 11):
        # 50 packets are sent, five of them are lost on their way to us, and one of those that arrive is a sample.
        harness.advance(0.5)
        harness.relay.offload.sample(flow.source, flow.local, rtp(2 + 50 * second - 25)[:32], harness.now)
        kernel.forward(PHONE, 45)
        harness.advance(0.5)
    external, _ = next(iter(harness.relay.table)).figures()
    assert external.packets_in == 3 + 450
    assert abs(external.lost - 50) <= 6, "what was lost since the last sample is not known yet"
    harness.relay.offload.sample(flow.source, flow.local, b"short", harness.now)
    harness.relay.offload.sample(MOVED, flow.local, rtp(1), harness.now)


def test_marks_are_unique_and_come_back_last() -> None:
    marks = Marks(range(10, 14))
    marks.claim(11)
    assert [marks.take() for _ in range(3)] == [10, 12, 13]
    marks.give_back(12)
    marks.give_back(11)
    assert [marks.take(), marks.take()] == [12, 11]
    with pytest.raises(IndexError):
        marks.take()


def test_the_kernel_carries_no_more_than_its_maps_hold() -> None:
    harness = RelayHarness(external_ports=(30000, 30007), internal_ports=(40002, 40005))
    kernel = Kernel(harness)
    assert harness.relay.table.offload._max_flows == 6
    harness.relay.table.offload._max_flows = 1
    carried_call(harness)
    assert (kernel.flows, plane_of(harness)) == ({}, Plane.USERSPACE)
