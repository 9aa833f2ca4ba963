"""One heap for many timers.

A timer has a key; setting it again moves it. A moved or cancelled timer leaves its old heap entry behind, which is skipped
when it comes up. When such entries outnumber the live ones, the heap is swept.
"""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

K = TypeVar("K")
_SLACK = 64  # dead entries that are not worth a sweep


class Timers(Generic[K]):
    """Timers by key; times are monotonic seconds."""

    def __init__(self) -> None:
        self._when: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._when)

    def set(self, key: K, when: float) -> None:
        """Arm a timer, or move it."""
        self._serial += 1
        self._when[key] = (when, self._serial)
        heapq.heappush(self._heap, (when, self._serial, key))
        if len(self._heap) > 2 * len(self._when) + _SLACK:
            self._sweep()

    def cancel(self, key: K) -> None:
        """Forget a timer; an unknown key is ignored."""
        self._when.pop(key, None)

    def next(self) -> float | None:
        """Return when the earliest timer is due."""
        while self._heap:
            when, serial, key = self._heap[0]
            if self._when.get(key) == (when, serial):
                return when
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> K | None:
        """Take one timer that is due, earliest first."""
        when = self.next()
        if when is None or when > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._when[key]
        return key

    def _sweep(self) -> None:
        self._heap = [(when, serial, key) for key, (when, serial) in self._when.items()]
        heapq.heapify(self._heap)
