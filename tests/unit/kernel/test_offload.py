from __future__ import annotations

from collections.abc import Callable

import pytest

from mediarelay.core.events import SessionEnded
from mediarelay.core.flow import Drop
from mediarelay.core.stream import FIRST_RETRY_SECONDS
from mediarelay.kernel.events import CheckWanted, CountsWanted, FlowsEnded, FlowsProven, FlowsWanted, KernelEvent
from mediarelay.kernel.flow import Check, Counts, KernelFlow, Marks, Plane, Tally
from mediarelay.kernel.offload import COUNT_SECONDS, LOST_IN_A_ROW
from tests.unit.relay.relays import CALLER, ENGINE, Bench, rtp, sdp

PHONE, NODE = (CALLER, 5000), (ENGINE, 6000)
MOVED = (CALLER, 5002)


class Kernel:
    """A pretended kernel behind a bench: what it carries, and what it has counted."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.flows: dict[int, KernelFlow] = {}
        self.came: dict[int, int] = {}
        self.left: dict[int, Counts] = {}
        self.proven: list[KernelFlow] = []
        self.shortens = True
        self.asked: list[type[KernelEvent]] = []
        self.refuses: type[KernelEvent] | None = None
        bench.on_kernel = self.answer
        bench.relay.offload.start()

    def answer(self, event: KernelEvent) -> None:
        """Do what is asked, as the shell would."""
        offload, now = self.bench.relay.offload, self.bench.now
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


def carried_call(bench: Bench) -> tuple[int, int]:
    """Set a call up, let both ends speak, and let time pass until the kernel has it."""
    inside = bench.offer()
    outside = bench.answer()
    for number in range(3):
        bench.media(outside, rtp(number), PHONE)
        bench.media(inside, rtp(number, ssrc=9), NODE)
    bench.advance(0.25)
    return outside, inside


def plane_of(bench: Bench) -> Plane:
    (session,) = bench.relay.table
    return session.streams[0].plane


def test_both_directions_enter_when_both_ends_are_known() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    inside = bench.offer()
    outside = bench.answer()
    bench.media(outside, rtp(1), PHONE)
    bench.advance(1)
    assert kernel.flows == {}
    bench.media(inside, rtp(1, ssrc=9), NODE)
    bench.pump()
    assert kernel.flows == {}, "a moment to settle"
    bench.advance(0.25)
    first, second = kernel.flows.values()
    assert (first.source, first.local, first.via, first.target) == (PHONE, ("10.0.0.1", outside), ("10.0.0.1", inside), NODE)
    assert (second.source, second.local, second.via, second.target) == (NODE, ("10.0.0.1", inside), ("10.0.0.1", outside), PHONE)
    assert (plane_of(bench), len(bench.relay.offload)) == (Plane.KERNEL, 2)


def test_what_the_kernel_forwards_counts_as_ours() -> None:
    bench = Bench(session_timeout=10)
    kernel = Kernel(bench)
    carried_call(bench)
    for _ in range(30):
        kernel.forward(PHONE, 50)
        bench.advance(COUNT_SECONDS)
    assert not bench.relay.idle(), "the kernel's packets keep a session alive"
    kernel.forward(PHONE, 7)
    reply = bench.ng("delete", call_id="c-1", from_tag="a")
    assert reply[b"totals"][b"RTP"][b"packets"] == 6 + 30 * 50 + 7  # type: ignore[index]  # it is a dictionary
    assert kernel.flows == {}


def test_the_last_figures_say_who_forwarded() -> None:
    bench = Bench()
    Kernel(bench)
    carried_call(bench)
    bench.ng("delete", call_id="c-1", from_tag="a")
    (ended,) = (event for event in bench.events if isinstance(event, SessionEnded))
    assert [leg.plane for leg in ended.figures] == ["kernel", "kernel"]


def test_silence_in_the_kernel_ends_a_session() -> None:
    bench = Bench(session_timeout=10)
    kernel = Kernel(bench)
    carried_call(bench)
    bench.advance(20)
    assert (bench.relay.idle(), kernel.flows) == (True, {})


@pytest.mark.parametrize(
    "change",
    [
        lambda bench: bench.offer(sdp(CALLER, 5500)),
        lambda bench: bench.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6600)),
        lambda bench: bench.offer(sdp(CALLER, 5000, media="m=image {port} udptl t38")),
        lambda bench: bench.media(outside_of(bench), rtp(1), MOVED) or bench.pump(),
    ],
    ids=["offer", "answer", "fax", "another port"],
)
def test_any_doubt_brings_a_stream_back(change: Callable[[Bench], object]) -> None:
    bench = Bench()
    kernel = Kernel(bench)
    carried_call(bench)
    kernel.forward(PHONE, 5)
    change(bench)
    bench.pump()
    assert (plane_of(bench), kernel.flows) == (Plane.USERSPACE, {})
    assert next(iter(bench.relay.table)).figures()[0].packets_in == 8


def outside_of(bench: Bench) -> int:
    (session,) = bench.relay.table
    return session.streams[0].legs[0].rtp.local[1]


def test_the_same_description_again_changes_nothing() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    carried_call(bench)
    bench.offer(sdp(CALLER, 5000, "a=sendonly"))
    bench.answer(sdp(ENGINE, 6000, "a=recvonly"))
    assert len(kernel.flows) == 2


def test_a_rebound_port_takes_over_as_without_a_kernel() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    outside, inside = carried_call(bench)
    bench.media(outside, rtp(10), MOVED)
    bench.pump()
    assert [bench.media(outside, rtp(number), MOVED) for number in (11, 12, 13)] == [None] * 3, "the old port may still be alive"
    bench.advance(0.21)
    passed = [bench.media(outside, rtp(number), MOVED) is not None for number in (14, 15, 16, 17)]
    assert passed == [False, False, True, True]
    bench.advance(FIRST_RETRY_SECONDS)
    assert {flow.source for flow in kernel.flows.values()} == {MOVED, NODE}


def test_a_neighbour_who_knocks_again_and_again_is_heard_less_and_less() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    outside, inside = carried_call(bench)
    for _ in range(600):
        bench.media(outside, rtp(1, ssrc=66), (CALLER, 6666))
        for number in range(2):
            bench.media(outside, rtp(number), PHONE)
            bench.media(inside, rtp(number, ssrc=9), NODE)
        bench.pump()
        bench.advance(0.1)
    assert kernel.asked.count(FlowsWanted) <= 8


def test_a_stranger_does_not_even_disturb() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    outside, _ = carried_call(bench)
    for number in range(100):
        assert bench.media(outside, rtp(number), ("192.0.2.66", 5000)) is None
    bench.pump()
    assert len(kernel.flows) == 2
    assert bench.relay.table.drops[Drop.STRANGER] == 100


def test_a_stream_whose_packets_vanish_comes_back_for_good() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    outside, inside = carried_call(bench)
    kernel.forward(PHONE, 10, lose=True)
    bench.advance(0.2)
    assert (plane_of(bench), bench.relay.offload.lost_streams) == (Plane.USERSPACE, 1)
    for number in range(10, 20):
        bench.media(outside, rtp(number), PHONE)
        bench.media(inside, rtp(number, ssrc=9), NODE)
    bench.advance(100)
    assert kernel.asked.count(FlowsWanted) == 1


def test_silence_after_the_take_over_is_no_loss() -> None:
    bench = Bench()
    Kernel(bench)
    carried_call(bench)
    bench.advance(5)
    assert (plane_of(bench), bench.relay.offload.lost_streams) == (Plane.KERNEL, 0)


def test_three_lost_streams_in_a_row_end_the_plane() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    for number in range(LOST_IN_A_ROW):
        assert bench.relay.offload.on
        carried_call(bench)
        kernel.forward(PHONE, 10, lose=True)
        bench.advance(0.2)
        bench.ng("delete", call_id="c-1", from_tag="a")
        assert bench.relay.offload.lost_streams == number + 1
    assert not bench.relay.offload.on
    assert "did not leave" in bench.relay.offload.trouble
    carried_call(bench)
    assert kernel.flows == {}


@pytest.mark.parametrize("when", [FlowsWanted, CheckWanted, CountsWanted, FlowsEnded])
def test_a_kernel_that_refuses_costs_no_call(when: type[KernelEvent]) -> None:
    bench = Bench()
    kernel = Kernel(bench)
    kernel.refuses = when
    outside, inside = carried_call(bench)
    if when is FlowsEnded:
        assert bench.ng("delete", call_id="c-1", from_tag="a")[b"result"] == b"ok"
        assert bench.relay.idle()
        return
    bench.advance(5)
    assert when in kernel.asked
    assert (plane_of(bench), bench.relay.offload.trouble) == (Plane.USERSPACE, "no")
    assert bench.media(outside, rtp(10), PHONE) == (("10.0.0.1", inside), NODE)


def test_a_direction_is_proven_when_its_packets_have_left() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    carried_call(bench)
    bench.advance(0.2)
    assert (kernel.proven, bench.relay.offload.direct_flows) == ([], 0), "nothing was sent"
    kernel.forward(PHONE, 1)
    bench.advance(COUNT_SECONDS)
    assert [flow.source for flow in kernel.proven] == [PHONE]
    kernel.forward(PHONE, 1)
    kernel.forward(NODE, 1)
    bench.advance(COUNT_SECONDS)
    assert [flow.source for flow in kernel.proven] == [PHONE, NODE], "each is told once"
    assert bench.relay.offload.direct_flows == 2
    bench.ng("delete", call_id="c-1", from_tag="a")
    assert bench.relay.offload.direct_flows == 0


def test_the_check_proves_as_well() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    carried_call(bench)
    kernel.forward(PHONE, 3)
    kernel.forward(NODE, 3, lose=True)
    bench.advance(0.2)
    assert kernel.asked.count(CheckWanted) == 1
    assert (kernel.proven, plane_of(bench)) == ([], Plane.USERSPACE), "where one direction is lost the stream leaves"


def test_streams_whose_ways_have_changed_leave_and_come_back() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    carried_call(bench)
    kernel.forward(PHONE, 5)
    bench.advance(COUNT_SECONDS)
    (flow,) = kernel.proven
    bench.relay.offload.ways_changed([flow.mark, 12345])
    bench.relay.offload.ways_changed([flow.mark])
    bench.pump()
    assert (kernel.flows, plane_of(bench)) == ({}, Plane.USERSPACE)
    assert kernel.asked.count(FlowsEnded) == 1
    bench.advance(FIRST_RETRY_SECONDS + 0.1)
    assert plane_of(bench) is Plane.KERNEL
    assert bench.relay.offload.direct_flows == 0, "it has to be proven again"
    totals = bench.ng("delete", call_id="c-1", from_tag="a")[b"totals"]
    assert totals[b"RTP"][b"packets"] == 6 + 5  # type: ignore[index]  # it is a dictionary


def test_a_flow_that_found_no_shorter_way_is_proven_again_when_ways_change() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    carried_call(bench)
    kernel.shortens = False
    for proofs in (1, 2):
        kernel.forward(PHONE, 5)
        bench.advance(COUNT_SECONDS)
        kernel.forward(PHONE, 5)
        bench.advance(COUNT_SECONDS)
        assert len(kernel.proven) == proofs
        bench.relay.offload.ways_changed([])
    assert plane_of(bench) is Plane.KERNEL


def test_a_tally_tells_what_has_moved() -> None:
    tally = Tally()
    assert tally.read([(1, 0, 0), (2, 3, 30)]) == [2]
    assert tally.read([(1, 1, 10), (2, 3, 30)]) == [1]
    assert (tally.of(1), tally.of(2), tally.of(3), len(tally)) == (Counts(1, 10), Counts(3, 30), Counts(0, 0), 2)
    tally.forget([2, 3])
    assert (tally.of(2), len(tally)) == (Counts(0, 0), 1)


def test_samples_tell_loss_and_jitter() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    carried_call(bench)
    flow = next(flow for flow in kernel.flows.values() if flow.source == PHONE)
    for second in range(1, 11):
        # 50 packets are sent, five of them are lost on their way to us, and one of those that come is a sample.
        bench.advance(0.5)
        bench.relay.offload.sample(flow.source, flow.local, rtp(2 + 50 * second - 25)[:32], bench.now)
        kernel.forward(PHONE, 45)
        bench.advance(0.5)
    external, _ = next(iter(bench.relay.table)).figures()
    assert external.packets_in == 3 + 450
    assert abs(external.lost - 50) <= 6, "what was lost since the last sample is not known yet"
    bench.relay.offload.sample(flow.source, flow.local, b"short", bench.now)
    bench.relay.offload.sample(MOVED, flow.local, rtp(1), bench.now)


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
    bench = Bench(external_ports=(30000, 30007), internal_ports=(40002, 40005))
    kernel = Kernel(bench)
    assert bench.relay.table.offload._max_flows == 6
    bench.relay.table.offload._max_flows = 1
    carried_call(bench)
    assert (kernel.flows, plane_of(bench)) == ({}, Plane.USERSPACE)
