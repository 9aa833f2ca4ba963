"""Durations counted in buckets with fixed bounds: minutes can be added up, and a percentile read from the sum."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

BOUNDS_MS = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
"""The longest duration of each bucket but the last one, which has no bound. Rows out there are counted by them: they never change."""
BUCKETS = len(BOUNDS_MS) + 1


def from_cumulated(at_most: Sequence[int], total: int) -> tuple[int, ...]:
    """Return the buckets, given how many durations are at most as long as each bound, and how many there are."""
    counts = (0, *at_most, total)
    return tuple(later - earlier for earlier, later in pairwise(counts))


def added(histograms: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Return the sum of histograms, bucket by bucket."""
    return tuple(map(sum, zip((0,) * BUCKETS, *histograms, strict=True)))


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the duration in milliseconds that a share of all does not exceed.

    Within a bucket durations are taken to lie evenly, so the result is in the bucket of the true one. It is infinite where that is longer
    than the last bound, and None where nothing was counted.
    """
    rank, below = share * sum(counts), 0
    if not any(counts):
        return None
    for number, count in enumerate(counts):
        if count and below + count >= rank:
            return _within(number, (rank - below) / count)
        below += count
    return math.inf


def _within(number: int, part: float) -> float:
    if number == len(BOUNDS_MS):
        return math.inf
    begin = BOUNDS_MS[number - 1] if number else 0
    return begin + (BOUNDS_MS[number] - begin) * max(part, 0.0)
