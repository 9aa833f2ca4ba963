"""Which streams the kernel carries (D7).

Theory of operation. A stream enters the kernel when both of its ends are locked and have been for a moment; it leaves
at any change: a new description, a source that moved, an end. Leaving is also the answer to every doubt. A packet that
does not match the kernel's key arrives at our socket as always; if it may mean that a phone's port has changed, the
stream is taken back and learning goes on here as if the kernel had never been involved. So nothing is decided twice.

The kernel is asked by events which the shell answers before it does anything else: `FlowsWanted` by `installed`,
`FlowsEnded` by `ended` with the last counts, `CountsWanted` by `counted`, `CheckWanted` by `checked`, `FlowsProven` by
`shortened`; any of them by `failed`, after which nothing is in the kernel any more.

Counters are read once a second; they show who is alive. A fifth of a second after a stream has entered, its counters on
the way in and on the way out are compared: if packets come in and none leave, something on this machine drops them.
Such a stream stays in userspace, and after three in a row all do. A direction whose packets have been seen to leave is
proven: the shell may send it a shorter way, on which nothing on this machine could drop it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from daemonkit.address import Address
from mediarelay.kernel.events import CheckWanted, CountsWanted, FlowsEnded, FlowsProven, FlowsWanted, KernelEvent
from mediarelay.kernel.flow import Check, Counts, KernelFlow, Marks, Plane

SETTLE_SECONDS = 0.2
GATHER_SECONDS = 0.02
CHECK_SECONDS = 0.2
COUNT_SECONDS = 1.0
LOST_IN_A_ROW = 3

Continuation = Callable[[float], None]


class Stream(Protocol):
    """A stream of the relay that the kernel may carry, and the state of its offload."""

    call_id: str
    plane: Plane
    kernel_flows: tuple[KernelFlow, ...]
    counted: list[Counts]
    offload_queued: bool
    offload_disabled: bool
    retry_at: float

    def settled_at(self) -> float | None:
        """Return when both ends were known and sent RTP, or None if they are not."""

    def directions(self, marks: tuple[int, int]) -> tuple[KernelFlow, ...]:
        """Return what the kernel is to carry, each direction with its mark."""

    def enter_kernel(self, flows: tuple[KernelFlow, ...], counted: list[Counts], now: float) -> None:
        """Leave forwarding to the kernel, whose counters stand at `counted`."""

    def leave_kernel(self, now: float) -> None:
        """Forward in userspace again."""

    def count(self, index: int, counts: Counts, since: float, now: float) -> None:
        """Take the counter of one direction."""

    def sample(self, index: int, packet: bytes, at: float) -> None:
        """Look at a copy of a packet of one direction."""


class Offload:
    """The streams of one relay that the kernel carries, up to `max_flows` directions; `marks` are for its flows alone.

    `ask` takes the events for the kernel, `note` the call ids of sessions that are to be journalled.
    """

    def __init__(self, marks: range, max_flows: int, *, ask: Callable[[KernelEvent], None], note: Callable[[str], None]) -> None:
        self._max_flows = max_flows
        self.on = False
        self.trouble = ""
        """Why the kernel carries nothing, or why it stopped; empty if all is well."""
        self.lost_streams = 0
        """Streams whose packets came in and did not leave."""
        self._ask = ask
        self._note_session = note
        self._carried: dict[int, tuple[Stream, int]] = {}
        self._marks_of: dict[tuple[Address, Address], int] = {}
        self._unproven: set[int] = set()
        self._direct: set[int] = set()
        self._marks = Marks(marks)
        self._young: list[tuple[float, int, Stream]] = []
        self._numbers = count()
        self._checks: deque[tuple[float, tuple[KernelFlow, ...]]] = deque()
        self._count_at: float | None = None
        self._counted_at = 0.0
        self._then: dict[int, Continuation] = {}
        self._in_a_row = 0

    def __len__(self) -> int:
        """The number of directions that the kernel carries."""
        return len(self._carried)

    @property
    def direct_flows(self) -> int:
        """The number of these directions that go from device to device."""
        return len(self._direct)

    def marks(self) -> frozenset[int]:
        """Return the marks of all flows that the kernel carries."""
        return frozenset(self._carried)

    # What the relay reports.

    def start(self) -> None:
        """Begin: the kernel takes flows."""
        self.on, self.trouble, self._in_a_row = True, "", 0

    def stay_out(self, reason: str) -> None:
        """Carry nothing from now on; `reason` is shown to operators."""
        self.on, self.trouble = False, reason

    def adopt(self, stream: Stream, flows: tuple[KernelFlow, ...], now: float) -> None:
        """Take over what the kernel has carried since before a restart; counting goes on from where it was."""
        for flow in flows:
            self._marks.claim(flow.mark)
        self._take(stream, flows, stream.counted, now)

    def stream_changed(self, stream: Stream) -> None:
        """Take a carried stream back; queue the stream again if its ends are known."""
        if stream.plane is Plane.KERNEL:
            self._leave([stream], None)
        self._consider(stream)

    def take_back(self, streams: Iterable[Stream], then: Continuation, now: float) -> None:
        """Take streams back for good, then continue: by then their counts are complete."""
        streams = list(streams)
        for stream in streams:
            stream.offload_disabled = True
        if all(stream.plane is Plane.USERSPACE for stream in streams):
            then(now)
            return
        # For those that are already leaving, the answer comes before this one's.
        self._leave([stream for stream in streams if stream.plane is Plane.KERNEL], then)

    def ways_changed(self, marks: Iterable[int]) -> None:
        """Take the streams of these flows back, to enter again later; all others may be proven again and find a shorter way."""
        streams = dict.fromkeys(self._carried[mark][0] for mark in marks if mark in self._carried)
        if leaving := [stream for stream in streams if stream.plane is Plane.KERNEL]:
            self._leave(leaving, None)
        self._unproven.update(self._carried.keys() - self._direct)

    def sample(self, source: Address, local: Address, packet: bytes, at: float) -> None:
        """Look at a copy, from the RTP header on, of a packet that the kernel forwarded."""
        mark = self._marks_of.get((source, local))
        if mark is not None:
            stream, index = self._carried[mark]
            stream.sample(index, packet, at)

    def next_due(self) -> float | None:
        """Return when `handle_timer` is next worth a call, or None."""
        times = [self._young[0][0]] if self._young else []
        times += [self._checks[0][0]] if self._checks else []
        return min([*times, self._count_at] if self._count_at is not None else times, default=None)

    def handle_timer(self, now: float) -> None:
        """Ask for what is due."""
        self._install(now)
        if self._count_at is not None and now >= self._count_at:
            self._count_at = now + COUNT_SECONDS if self._carried else None
            if self._carried:
                self._ask(CountsWanted())
        while self._checks and now >= self._checks[0][0]:
            flows = tuple(flow for flow in self._checks.popleft()[1] if flow.mark in self._carried)
            if flows:
                self._ask(CheckWanted(flows))

    # What the kernel answers.

    def installed(self, flows: tuple[KernelFlow, ...], now: float) -> None:
        """Schedule the check of the flows that have just entered."""
        self._checks.append((now + CHECK_SECONDS, flows))
        self._note(dict.fromkeys(self._carried[flow.mark][0] for flow in flows))

    def ended(self, event: FlowsEnded, counts: Mapping[int, Counts], now: float) -> None:
        """Take the last counts of flows that are gone."""
        self._count(counts, now)
        self._forget([flow.mark for flow in event.flows], now)
        if then := self._then.pop(event.number, None):
            then(now)

    def counted(self, counts: Mapping[int, Counts], now: float) -> None:
        """Take the present counts, by mark, of the flows whose counts have grown."""
        self._count(counts, now)
        self._counted_at = now
        self._prove(mark for mark, counted in counts.items() if counted.packets)

    def shortened(self, flows: Iterable[KernelFlow]) -> None:
        """Note which flows go a shorter way."""
        self._direct.update(flow.mark for flow in flows)

    def checked(self, checks: Mapping[int, Check], now: float) -> None:
        """Take back the streams whose packets come in and do not leave.

        By now everything that came before the kernel took over has been read, so the journal entry is complete.
        """
        lost = []
        self._note(dict.fromkeys(self._carried[mark][0] for mark in checks if mark in self._carried))
        for mark, check in checks.items():
            if mark not in self._carried:
                continue
            stream, _ = self._carried[mark]
            if check.came and not check.left.packets:
                lost.append(stream)
            elif check.left.packets:
                self._in_a_row = 0
        for stream in dict.fromkeys(lost):
            self._lose(stream)
        self._prove(mark for mark, check in checks.items() if check.left.packets)

    def failed(self, reason: str, now: float) -> None:
        """Give up: the kernel has refused a request and carries nothing any more."""
        self.stay_out(reason)
        self._checks.clear()
        self._forget(list(self._carried), now)
        waiting, self._then = list(self._then.values()), {}
        for then in waiting:
            then(now)

    # Internal.

    def _consider(self, stream: Stream) -> None:
        settled_at = stream.settled_at()
        if self.on and settled_at is not None and not stream.offload_queued and stream.plane is Plane.USERSPACE:
            stream.offload_queued = True
            heappush(self._young, (max(settled_at + SETTLE_SECONDS, stream.retry_at), next(self._numbers), stream))

    def _install(self, now: float) -> None:
        wanted: list[KernelFlow] = []
        while self._young and self._young[0][0] <= now + GATHER_SECONDS:
            _, _, stream = heappop(self._young)
            wanted.extend(self._enter(stream, now))
        if wanted:
            self._ask(FlowsWanted(tuple(wanted)))
            if self._count_at is None:
                self._count_at = now + COUNT_SECONDS

    def _enter(self, stream: Stream, now: float) -> tuple[KernelFlow, ...]:
        """Give a stream to the kernel if its ends are known and the kernel may take it."""
        stream.offload_queued = False
        if not self.on or stream.plane is not Plane.USERSPACE or stream.settled_at() is None or len(self._carried) + 2 > self._max_flows:
            return ()
        if stream.retry_at > now + GATHER_SECONDS:
            self._consider(stream)
            return ()
        flows = stream.directions((self._marks.take(), self._marks.take()))
        self._take(stream, flows, [Counts(0, 0)] * len(flows), now)
        return flows

    def _take(self, stream: Stream, flows: tuple[KernelFlow, ...], counted: list[Counts], now: float) -> None:
        stream.enter_kernel(flows, counted, now)
        for index, flow in enumerate(flows):
            self._carried[flow.mark] = stream, index
            self._marks_of[flow.source, flow.local] = flow.mark
            self._unproven.add(flow.mark)
        if self._count_at is None:
            self._count_at = now + COUNT_SECONDS

    def _leave(self, streams: list[Stream], then: Continuation | None) -> None:
        number = next(self._numbers)
        if then is not None:
            self._then[number] = then
        for stream in streams:
            stream.plane = Plane.LEAVING
        self._ask(FlowsEnded(number, tuple(flow for stream in streams for flow in stream.kernel_flows)))

    def _count(self, counts: Mapping[int, Counts], now: float) -> None:
        for mark, counted in counts.items():
            if mark in self._carried:
                stream, index = self._carried[mark]
                if counted != stream.counted[index]:
                    stream.count(index, counted, self._counted_at, now)

    def _prove(self, marks: Iterable[int]) -> None:
        """Report flows whose packets have been seen to leave."""
        carried = [(mark, *self._carried[mark]) for mark in self._unproven.intersection(marks)]
        proven = {mark: stream.kernel_flows[index] for mark, stream, index in carried if stream.plane is Plane.KERNEL}
        self._unproven.difference_update(proven)
        if proven:
            self._ask(FlowsProven(tuple(proven.values())))

    def _forget(self, marks: list[int], now: float) -> None:
        streams = dict.fromkeys(self._carried[mark][0] for mark in marks if mark in self._carried)
        for flow in (flow for stream in streams for flow in stream.kernel_flows):
            self._marks_of.pop((flow.source, flow.local), None)
        self._unproven.difference_update(marks)
        self._direct.difference_update(marks)
        for mark in marks:
            self._carried.pop(mark, None)
            self._marks.give_back(mark)
        for stream in streams:
            stream.leave_kernel(now)
            self._consider(stream)
        self._note(streams)

    def _note(self, streams: Iterable[Stream]) -> None:
        """Have the sessions of streams that have changed plane journalled."""
        for stream in streams:
            self._note_session(stream.call_id)

    def _lose(self, stream: Stream) -> None:
        self.lost_streams += 1
        self._in_a_row += 1
        stream.offload_disabled = True
        self._leave([stream], None)
        if self._in_a_row >= LOST_IN_A_ROW:
            self.stay_out("Packets that the kernel took did not leave this machine.")
            rest = dict.fromkeys(stream for stream, _ in self._carried.values() if stream.plane is Plane.KERNEL)
            self._leave(list(rest), None)
