"""Tell what goes on for long from what goes on without end: a call that documents hold from one that they drive in circles."""

from __future__ import annotations


class Rate:
    """A bucket of `most` things that leaks `per_second`."""

    def __init__(self, most: int, per_second: float) -> None:
        self._most, self._per_second = most, per_second
        self._level = 0.0
        self._at: float | None = None

    def admits(self, now: float) -> bool:
        """Count a thing and return whether it may be."""
        passed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._level = max(0.0, self._level - passed * self._per_second) + 1
        return self._level <= self._most
