"""How good speech sounds after a network: the E-model (ITU-T G.107) with what RTCP can tell.

The model's other parameters are its defaults; the codec is G.711 with loss concealment (G.113 appendix I: Ie 0,
Bpl 25.1). A jitter buffer is assumed to hold twice the jitter plus one packet of 20 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

_BASE = 93.2
_LOSS_ROBUSTNESS = 25.1
_MOST_IMPAIRMENT = 95.0
_PACKET_MS = 20.0
_NOTICED_DELAY_MS = 177.3


def mean_opinion_score(loss_percent: float, jitter_ms: float, rtt_ms: float) -> float:
    """Return the MOS that listeners would give, from 1 (bad) to 4.4 (the best that this codec gets)."""
    delay = rtt_ms / 2 + 2 * jitter_ms + _PACKET_MS
    delayed = 0.024 * delay + 0.11 * max(0.0, delay - _NOTICED_DELAY_MS)
    lost = _MOST_IMPAIRMENT * loss_percent / (loss_percent + _LOSS_ROBUSTNESS)
    rating = max(0.0, min(100.0, _BASE - delayed - lost))
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)


@dataclass(slots=True)
class QualityLog:
    """Scores of one stream over time."""

    samples: int = 0
    total: float = 0.0
    lowest: float = 5.0
    highest: float = 0.0

    @property
    def average(self) -> float | None:
        """The mean of all scores, or None if there are none."""
        return self.total / self.samples if self.samples else None

    def add(self, score: float) -> None:
        """Add one score."""
        self.samples += 1
        self.total += score
        self.lowest, self.highest = min(self.lowest, score), max(self.highest, score)
