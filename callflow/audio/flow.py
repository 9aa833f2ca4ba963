"""Whether the far end's packets came steadily, and when they broke off.

A telephone that hangs up stops sending. Where its BYE came late, that tells when it was sent; but a telephone that suppresses silence, or
stops sending while it is muted, is silent for other reasons: a stream with gaps tells nothing.
"""

from __future__ import annotations

GAP_SECONDS = 0.5
"""A longer pause between packets is no jitter."""
STEADY_SECONDS = 1.0


class Flow:
    """The times of the far end's packets."""

    def __init__(self) -> None:
        self._since = 0.0
        self._last: float | None = None

    def receive(self, now: float) -> None:
        """Take note of a packet."""
        if self._last is None or now - self._last > GAP_SECONDS:
            self._since = now
        self._last = now

    def broke_off(self, now: float) -> float:
        """Return when a steady stream ended; now, if it goes on, or was none."""
        if self._last is None or now - self._last <= GAP_SECONDS or self._last - self._since < STEADY_SECONDS:
            return now
        return self._last
