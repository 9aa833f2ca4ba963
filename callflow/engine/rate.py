"""Tell what goes on for long from what goes on without end: a call that documents hold from one that they drive in circles."""

from __future__ import annotations


class Rate:
    """A bucket with `most` places that leaks `per_second`; what is refused takes none."""

    def __init__(self, most: int, per_second: float) -> None:
        self._most, self._per_second = most, per_second
        self._level = 0.0
        self._at: float | None = None

    def admits(self, now: float, places: int = 1) -> bool:
        """Return whether a thing may be, and count it if so."""
        passed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._level = max(0.0, self._level - passed * self._per_second)
        admitted = self._level + places <= self._most
        if admitted:
            self._level += places
        return admitted
