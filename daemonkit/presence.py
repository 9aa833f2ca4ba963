"""When a process was away, killed or stopped: what arrives soon after that may have been sent while it was."""

from __future__ import annotations

import time

from daemonkit.alarm import Alarm

AWAY_SECONDS = 0.8
"""A process that has not told the time for so long stood still; a present one tells it at least twice in that time."""
TELL_SECONDS = 0.3
REPEATED_SECONDS = 5.5
"""A request without an answer is repeated every T2 = 4 s at the latest (RFC 3261 section 17.1.2.2), and its sender may be late itself."""


class Presence:
    """Watches the clock. As long as nobody tells it the time, the process counts as present."""

    def __init__(self) -> None:
        self._told_at: float | None = None
        self._back_at: float | None = None

    def tell(self, now: float) -> None:
        """Take note that the process is at work."""
        if self._told_at is None or now - self._told_at > AWAY_SECONDS:
            self._back_at = now
        self._told_at = now

    def is_late(self, now: float) -> bool:
        """Return whether a request that arrives now may have been sent while the process was away."""
        if self._told_at is None or self._back_at is None:
            return False
        return now - self._told_at > AWAY_SECONDS or now - self._back_at < REPEATED_SECONDS


class PresenceClock(Presence):
    """The presence of this process: its event loop tells the time."""

    def __init__(self) -> None:
        super().__init__()
        self._alarm = Alarm(self._on_alarm)

    def start(self) -> None:
        """Begin to tell the time."""
        self._on_alarm(time.monotonic())

    def stop(self) -> None:
        """Stop telling it."""
        self._alarm.stop()

    def _on_alarm(self, now: float) -> None:
        self.tell(now)
        self._alarm.set(now + TELL_SECONDS)
