"""The life of a media port (D9): free, in use, quarantined, free again.

A pair is an even RTP port and the odd RTCP port above it; it is named by the even one. Pairs are drawn at random, so
that nobody can guess where the next call will be. A released pair keeps its sockets and goes to the back of a queue,
where late packets of the old call are read and thrown away. While more than a fifth of the range is free it stays
there for 30 s; below that the oldest pairs return as soon as 2 s have passed without a packet. A pair that does not
bind waits in the same queue and is tried again later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

QUARANTINE_SECONDS = 30.0
QUIET_SECONDS = 2.0
SCARCE_SHARE = 0.2


@dataclass(slots=True)
class _Waiting:
    released_at: float
    last_packet_at: float


class PortPool:
    """The pairs of one side; `choose(n)` returns a random number below n."""

    def __init__(self, ports: tuple[int, int], choose: Callable[[int], int]) -> None:
        first, last = ports
        self._free = list(range(first + first % 2, last, 2))
        self._choose = choose
        self._in_use: set[int] = set()
        self._waiting: dict[int, _Waiting] = {}
        self.size = len(self._free)

    @property
    def free(self) -> int:
        """Pairs that may be taken now."""
        return len(self._free)

    @property
    def in_use(self) -> int:
        """Pairs that belong to a session."""
        return len(self._in_use)

    @property
    def quarantined(self) -> int:
        """Pairs that were released and are being drained."""
        return len(self._waiting)

    def take(self) -> int | None:
        """Return a random free pair, or None if there is none."""
        if not self._free:
            return None
        index = self._choose(len(self._free))
        port, self._free[index] = self._free[index], self._free[-1]
        self._free.pop()
        self._in_use.add(port)
        return port

    def claim(self, port: int) -> None:
        """Take a particular pair, which a session had before a restart; raises ValueError if it is not free."""
        try:
            self._free.remove(port)
        except ValueError:
            raise ValueError(f"Port {port} is not free.") from None
        self._in_use.add(port)

    def release(self, port: int, now: float) -> None:
        """Put a pair in use at the back of the quarantine's queue."""
        self._in_use.remove(port)
        self._waiting[port] = _Waiting(now, now)

    def note_packet(self, port: int, now: float) -> None:
        """Remember that a packet came for a quarantined port, RTP or RTCP."""
        waiting = self._waiting.get(port & ~1)
        if waiting is not None:
            waiting.last_packet_at = now

    def expire(self, now: float) -> list[int]:
        """Free the pairs whose time has come, oldest first, and return them: their sockets may be closed."""
        due: list[int] = []
        for port in self._due(now):
            if not self._scarce(len(due)) and self._waiting[port].released_at + QUARANTINE_SECONDS > now:
                # The younger ones behind it are not due either, and there may be thousands of them.
                break
            due.append(port)
        for port in due:
            del self._waiting[port]
            self._free.append(port)
        return due

    def next_expiry(self) -> float | None:
        """Return when `expire` may next find something, or None if nothing waits."""
        for waiting in self._waiting.values():
            if self._scarce(0):
                return max(waiting.released_at, waiting.last_packet_at) + QUIET_SECONDS
            return waiting.released_at + QUARANTINE_SECONDS
        return None

    def _due(self, now: float) -> Iterator[int]:
        """Yield the pairs that were released and quiet for long enough to return when ports are scarce."""
        for port, waiting in self._waiting.items():
            if waiting.released_at + QUIET_SECONDS > now:
                return
            if waiting.last_packet_at + QUIET_SECONDS <= now or waiting.released_at + QUARANTINE_SECONDS <= now:
                yield port

    def _scarce(self, regained: int) -> bool:
        return len(self._free) + regained <= SCARCE_SHARE * self.size
