"""Notice that the caller's audio has stopped."""

from __future__ import annotations


class MediaWatch:
    """The time-out of a call from which no packet comes; hold suspends it, because a held call may be silent."""

    def __init__(self, seconds: float) -> None:
        self._heard_at: float | None = None
        self._held = False
        self._seconds = seconds

    @property
    def deadline(self) -> float | None:
        """When the time-out is due, or None."""
        return None if self._heard_at is None or self._held else self._heard_at + self._seconds

    def expired(self, now: float) -> bool:
        """Return whether the time-out is due."""
        return self.deadline is not None and self.deadline <= now

    def heard(self, at: float) -> None:
        """Take note of a packet."""
        if self._heard_at is not None:
            self._heard_at = max(self._heard_at, at)

    def hold(self, held: bool, now: float) -> None:
        """Suspend the time-out, or start it anew."""
        self._held = held
        self.heard(now)

    def start(self, now: float) -> None:
        """Start the time-out: the call is answered."""
        self._heard_at = now

    def stop(self) -> None:
        """Cancel the time-out: the call is over."""
        self._heard_at = None
