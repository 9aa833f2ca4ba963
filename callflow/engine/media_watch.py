"""Notice a caller whose audio has stopped."""

from __future__ import annotations


class MediaWatch:
    """Time out when no packet has come for a while; hold suspends it, because a held call may be silent."""

    def __init__(self, seconds: float) -> None:
        self._heard_at: float | None = None
        self._held = False
        self._seconds = seconds

    @property
    def deadline(self) -> float | None:
        """Return when the silence has lasted for too long."""
        return None if self._heard_at is None or self._held else self._heard_at + self._seconds

    def expired(self, now: float) -> bool:
        """Tell whether it has."""
        return self.deadline is not None and self.deadline <= now

    def heard(self, at: float) -> None:
        """A packet came."""
        if self._heard_at is not None:
            self._heard_at = max(self._heard_at, at)

    def hold(self, held: bool, now: float) -> None:
        """Suspend the watch, or start it anew."""
        self._held = held
        self.heard(now)

    def start(self, now: float) -> None:
        """Begin to watch."""
        self._heard_at = now

    def stop(self) -> None:
        """Watch no more."""
        self._heard_at = None
