"""Get the port pairs that one offer needs, one after the other, or give all of them back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from mediarelay.core.addresses import Side
from mediarelay.core.events import Event, PairReleased, PairWanted
from mediarelay.core.ports import PortPool

MAX_FAILURES = 8
"""Pairs of one offer that may fail to bind."""


class Allocation:
    """The pairs on their way to one session; `done(True)` is called once all are bound, `done(False)` if that fails."""

    def __init__(self, wanted: Sequence[Side], done: Callable[[Allocation, bool, float], None]) -> None:
        self.wanted = deque(wanted)
        self.failures = 0
        self.bound: dict[Side, deque[int]] = {side: deque() for side in Side}
        self.done = done

    def take(self, side: Side) -> int:
        """Return the next bound pair of a side."""
        return self.bound[side].popleft()


class Allocator:
    """The port pools of both sides, and the allocations that wait for the shell to bind."""

    def __init__(self, pools: dict[Side, PortPool], events: deque[Event]) -> None:
        self.pools = pools
        self.failures = 0
        """Pairs that did not bind."""
        self._events = events
        self._waiting: dict[tuple[Side, int], Allocation] = {}

    def use(self) -> tuple[int, int]:
        """Return how many pairs are in use, and of how many, on the side that is fuller."""
        return max(((pool.in_use, pool.size) for pool in self.pools.values()), key=lambda pair: pair[0] / max(pair[1], 1))

    def begin(self, allocation: Allocation, now: float) -> None:
        """Ask for the first pair, or finish at once if none is wanted."""
        if not allocation.wanted:
            allocation.done(allocation, True, now)
            return
        side = allocation.wanted[0]
        port = self._take(side, now)
        if port is None:
            self._give_back(allocation, now)
            return
        self._waiting[side, port] = allocation
        self._events.append(PairWanted(side, port))

    def port_bound(self, side: Side, port: int, now: float) -> None:
        """Go on with the allocation that asked for this pair."""
        allocation = self._waiting.pop((side, port))
        allocation.bound[allocation.wanted.popleft()].append(port)
        self.begin(allocation, now)

    def port_failed(self, side: Side, port: int, now: float) -> None:
        """Set aside a pair that did not bind and try another, up to a limit."""
        allocation = self._waiting.pop((side, port))
        self.failures += 1
        allocation.failures += 1
        self.pools[side].release(port, now)
        if allocation.failures > MAX_FAILURES:
            # On a machine without descriptors no pair would bind: one offer would drain the whole pool.
            self._give_back(allocation, now)
        else:
            self.begin(allocation, now)

    def release(self, side: Side, port: int, now: float) -> None:
        """Put the pair of an ended stream into quarantine."""
        self.pools[side].release(port, now)

    def expire(self, now: float) -> None:
        """Return pairs from quarantine to the pools and let the shell close their sockets."""
        for side in self.pools:
            self._expire_side(side, now)

    def next_expiry(self) -> float | None:
        """Return when `expire` is next worth a call, or None."""
        return min((at for pool in self.pools.values() if (at := pool.next_expiry()) is not None), default=None)

    def _expire_side(self, side: Side, now: float) -> None:
        self._events.extend(PairReleased(side, port) for port in self.pools[side].expire(now))

    def _give_back(self, allocation: Allocation, now: float) -> None:
        for side, ports in allocation.bound.items():
            for port in ports:
                self.pools[side].release(port, now)
        allocation.done(allocation, False, now)

    def _take(self, side: Side, now: float) -> int | None:
        if not self.pools[side].free:
            self._expire_side(side, now)
        return self.pools[side].take()
