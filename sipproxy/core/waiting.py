"""Questions that wait for an answer from outside the core, each for a bounded time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from sipproxy.transactions.timers import Timers

T = TypeVar("T")


class Waiting(Generic[T]):
    """What waits, by the key of its question; times are monotonic seconds."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._serial = count()
        self._held: dict[str, T] = {}
        self._timers: Timers[str] = Timers()

    def __len__(self) -> int:
        return len(self._held)

    def add(self, what: T, now: float) -> str:
        """Let something wait, and return the key of its question."""
        key = str(next(self._serial))
        self._held[key] = what
        self._timers.set(key, now + self._seconds)
        return key

    def take(self, key: str) -> T | None:
        """Take what waited for an answer, None where nothing does any more."""
        self._timers.cancel(key)
        return self._held.pop(key, None)

    def take_first(self, wanted: Callable[[T], bool]) -> T | None:
        """Take the first that a function names."""
        key = next((key for key, held in self._held.items() if wanted(held)), None)
        return None if key is None else self.take(key)

    def get_timer(self) -> float | None:
        """Return when the next one has waited for too long."""
        return self._timers.next()

    def pop_due(self, now: float) -> str | None:
        """Return the key of one that has waited for too long; it waits on until it is taken."""
        return self._timers.pop_due(now)
