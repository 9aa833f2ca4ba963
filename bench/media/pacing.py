"""Which packets are due, and which of them arrived; nothing here reads a clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TICK_SECONDS = 0.0005
# After lost time, a tick sends at most what is due in this many seconds; what is older than the second figure is never sent.
BURST_SECONDS = 0.001
MAX_BEHIND_SECONDS = 0.02


@dataclass(slots=True)
class Pacer:
    """Spreads `rate` packets a second over ticks; lost time is caught up without a burst."""

    rate: float
    sent: int = 0
    skipped: int = 0

    def due(self, elapsed: float) -> int:
        """Return how many packets to send now, `elapsed` seconds after the beginning, and count them as sent."""
        owed = int(elapsed * self.rate) - self.sent - self.skipped
        too_late = max(0, owed - math.ceil(self.rate * MAX_BEHIND_SECONDS))
        self.skipped += too_late
        count = min(owed - too_late, math.ceil(self.rate * BURST_SECONDS))
        self.sent += count
        return count


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the packets of all calls; `surplus` counts those that arrived more than once."""

    sent: int
    received: int
    lost: int
    surplus: int

    @classmethod
    def count(cls, sent: int, received: Sequence[int]) -> Delivery:
        """Compare, call by call, what was sent round robin from the first call on with what each call received."""
        laps, rest = divmod(sent, len(received))
        missing = [laps + (call < rest) - got for call, got in enumerate(received)]
        return cls(sent, sum(received), sum(n for n in missing if n > 0), -sum(n for n in missing if n < 0))
