"""What one caller hears: whether each packet came, and how far from its time; nothing here reads a clock.

A packet's time is that of its RTP timestamp, counted from the most punctual packet of the call: an engine can be late, but never early.
When a packet came is the kernel's word, so a caller that reads late changes nothing.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from bench.signalling.figures import percentile

FRAME_SECONDS, FRAME_TICKS, TICKS_A_SECOND = 0.020, 160, 8_000
GAP_SECONDS = 0.06
"""A longer pause is heard: telephones buffer about so much."""


class Tally:
    """The packets of one call; counts begin anew with each `begin`, and `end` completes them."""

    def __init__(self) -> None:
        self.received = self.lost = self.skipped = self.strays = self.gaps = 0
        self.longest_pause = 0.0
        self._first_at = self._last_at = 0.0
        self._sequence: int | None = None
        self._timestamp = 0
        self._ticks = 0
        self._punctual = 0.0
        """The offset of the most punctual packet since the call's beginning."""
        self._offsets = array("d")

    def take(self, sequence: int, timestamp: int, at: float) -> None:
        """Take a packet that came at a time, in seconds."""
        if self._sequence is None:
            self._first_at = self._last_at = at
            self._sequence, self._timestamp = sequence - 1, timestamp - FRAME_TICKS
            self._ticks = -FRAME_TICKS
        step = (sequence - self._sequence) & 0xFFFF
        if not 0 < step < 0x8000:
            # It came twice, or after one that was sent later.
            self.strays += 1
            return
        ticks = (timestamp - self._timestamp) & 0xFFFF_FFFF
        self._sequence, self._timestamp = sequence, timestamp
        self._ticks += ticks
        self.received += 1
        self.lost += step - 1
        self.skipped += max(0, ticks // FRAME_TICKS - step)
        self._pause(at - self._last_at)
        self._last_at = at
        offset = at - self._first_at - self._ticks / TICKS_A_SECOND
        self._punctual = min(self._punctual, offset)
        self._offsets.append(offset)

    def begin(self, at: float) -> None:
        """Count from now on; a pause is one from its beginning or from now on, whichever is later."""
        self.received = self.lost = self.skipped = self.strays = self.gaps = 0
        self.longest_pause = 0.0
        self._last_at = at
        self._offsets = array("d")

    def end(self, at: float) -> None:
        """Count the pause that has not ended."""
        self._pause(at - self._last_at)

    def lateness(self) -> list[float]:
        """Return by how much each packet was late, in seconds."""
        return [offset - self._punctual for offset in self._offsets]

    def _pause(self, seconds: float) -> None:
        self.longest_pause = max(self.longest_pause, seconds)
        self.gaps += seconds > GAP_SECONDS


def heard(tallies: Sequence[Tally]) -> dict[str, float]:
    """Return what all callers heard: packets, pauses, and the pacing error in milliseconds."""
    late = [late * 1000 for tally in tallies for late in tally.lateness()]
    return {
        "received": sum(tally.received for tally in tallies),
        "lost": sum(tally.lost for tally in tallies),
        "skipped": sum(tally.skipped for tally in tallies),
        "strays": sum(tally.strays for tally in tallies),
        "gaps": sum(tally.gaps for tally in tallies),
        "longest_pause_ms": round(max((tally.longest_pause for tally in tallies), default=0.0) * 1000, 3),
        "pacing_max_ms": round(max(late, default=math.nan), 3),
        **{f"pacing_p{percent}_ms": round(percentile(late, percent), 3) for percent in (50, 99)},
    }
