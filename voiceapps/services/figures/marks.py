"""The minutes whose figures are to be computed again: whoever writes a row says so in the same transaction.

So nothing is looked for by its time. A call that ends two hours after it began, a webhook that a journal has kept for a day, and a row of a
transaction that took long are found all the same, and a minute that nobody has touched is never read again.
"""

from __future__ import annotations

from collections.abc import Iterable

from voiceapps.choices import FigureKind
from voiceapps.daemon.bulk import BulkInsert
from voiceapps.models import TouchedMinute

MINUTE_SECONDS = 60
_BLUR = 0.001
"""A call's beginning is known to its proxy and, in whole milliseconds, to its call flow: its row may lie in the minute beside."""

_MARKS = BulkInsert(TouchedMinute)


def minute_of(seconds: float) -> int:
    """Return the minute that a time lies in, as the database stores it: in microseconds."""
    return round(seconds * 1_000_000) // (MINUTE_SECONDS * 1_000_000)


def touch(kind: FigureKind, times: Iterable[float]) -> None:
    """Have the figures of the minutes of some times computed again, once the caller's transaction is over."""
    minutes = {minute_of(seconds + blur) for seconds in times for blur in (-_BLUR, _BLUR)}
    _MARKS.write([{"kind": kind.value, "minute": minute} for minute in sorted(minutes)])
