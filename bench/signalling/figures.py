"""Percentiles, spreads and the search for the knee; nothing here reads a clock or a file."""

from __future__ import annotations

import math
import statistics
from collections.abc import Generator, Sequence

# How near the search comes to the knee: this part of it, and calls a second.
RESOLUTION, STEP = 0.08, 5


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that a given percentage of all values do not exceed; NaN of none."""
    if not values:
        return math.nan
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99."""
    return {f"p{percent}": round(percentile(values, percent), 3) for percent in (50, 95, 99)}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and greatest."""
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


def pairwise_ratios(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Return ours divided by the peer's, round by round."""
    return [a / b for a, b in zip(ours, peer, strict=True)]


def knee_search(start: int, limit: int) -> Generator[int, bool, int]:
    """Yield rates to try; after each, be sent whether it passed cleanly; return the first rate that did not.

    The rate is doubled until one fails, then the interval is halved down to `RESOLUTION`. A knee of `limit` means that there is none below.
    """
    clean, rate = 0, start
    while (yield rate):
        clean = rate
        if clean >= limit:
            return limit
        rate = min(2 * rate, limit)
    failed = rate
    while failed - clean > max(STEP, failed * RESOLUTION):
        middle = (clean + failed) // 2
        if (yield middle):
            clean = middle
        else:
            failed = middle
    return failed
