"""How the console shows figures: shares and latencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from django import template

from voiceapps.rules.diagnosis.histogram import BOUNDS_MS, percentile

register = template.Library()


class Timed(Protocol):
    """What has a histogram of latencies."""

    @property
    def latencies(self) -> Sequence[int]:
        """By the buckets of a histogram."""


@register.filter
def percent(share: float | None) -> str:
    """Return a share in whole percents."""
    return "–" if share is None else f"{100 * share:.0f} %"


@register.filter
def latency(milliseconds: float | None) -> str:
    """Return a latency with the digits that a bucket allows."""
    if milliseconds is None:
        return "–"
    if math.isinf(milliseconds):
        return f"over {BOUNDS_MS[-1] // 1000} s"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


@register.filter
def within(line: Timed, percents: int) -> str:
    """Return the latency that so many percent of requests do not exceed."""
    return latency(percentile(line.latencies, percents / 100))
