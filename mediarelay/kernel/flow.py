"""What the kernel forwards: one direction of a stream, its counts, and the marks that identify flows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from daemonkit.address import Address


class Counts(NamedTuple):
    """Packets that the kernel sent on, and the octets of their payloads."""

    packets: int
    octets: int


NOTHING = Counts(0, 0)


class Plane(Enum):
    """Who forwards a stream."""

    USERSPACE = "userspace"
    KERNEL = "kernel"
    LEAVING = "leaving"
    """The kernel still forwards; it has been told to stop."""


@dataclass(frozen=True, slots=True)
class KernelFlow:
    """What comes from `source` to `local` leaves from `via` to `target`."""

    mark: int
    """Put on each packet while it crosses the machine; unique in the relay."""
    source: Address
    local: Address
    via: Address
    target: Address


@dataclass(frozen=True, slots=True)
class Check:
    """What the kernel has seen of a flow that it has just been given."""

    came: int
    """Packets that matched the flow's source and port."""
    left: Counts


class Tally:
    """The counts of flows at the last reading, by mark; of thousands of flows, the readings pick out those that have changed."""

    def __init__(self) -> None:
        self._counts: dict[int, Counts] = {}

    def __len__(self) -> int:
        """The number of flows with counts above zero."""
        return len(self._counts)

    def of(self, mark: int) -> Counts:
        """Return a flow's counts."""
        return self._counts.get(mark, NOTHING)

    def read(self, found: Iterable[tuple[int, int, int]]) -> list[int]:
        """Take rows of mark, packets and octets; return the marks whose packets have changed."""
        known = self._counts
        moved = [row for row in found if known.get(row[0], NOTHING)[0] != row[1]]
        known.update((mark, Counts(packets, octets)) for mark, packets, octets in moved)
        return [row[0] for row in moved]

    def forget(self, marks: Iterable[int]) -> None:
        """Forget flows that are gone."""
        for mark in marks:
            self._counts.pop(mark, None)


class Marks:
    """The marks of one relay: unused ones first, then those that were given back, oldest first."""

    def __init__(self, marks: range) -> None:
        self._fresh = marks
        self._claimed: set[int] = set()
        self._returned: deque[int] = deque()

    def take(self) -> int:
        """Return a mark that no flow has; raises IndexError if all are in use."""
        while self._fresh:
            mark, self._fresh = self._fresh[0], self._fresh[1:]
            if mark not in self._claimed:
                return mark
        return self._returned.popleft()

    def claim(self, mark: int) -> None:
        """Reserve a mark that a flow already has from before a restart."""
        self._claimed.add(mark)

    def give_back(self, mark: int) -> None:
        """Let a mark be used again."""
        self._claimed.discard(mark)
        self._returned.append(mark)
