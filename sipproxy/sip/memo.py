"""Remember what a header line or a Request-URI means.

The messages of one call repeat the same From, To and Via lines a dozen times, and values are immutable: the same line is the
same value. Only short lines are remembered, a bounded number of them, the oldest unused ones go first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

K = TypeVar("K", bytes, str)
V = TypeVar("V")

MAX_REMEMBERED = 4_096  # values of one type
MAX_LINE = 512  # octets of one


def remembered(parse: Callable[[K], V]) -> Callable[[K], V]:
    """Return a parser that looks up what it parsed before; what it refuses is refused anew each time."""
    lookup = lru_cache(maxsize=MAX_REMEMBERED)(parse)

    @wraps(parse)
    def read(raw: K) -> V:
        return lookup(raw) if len(raw) <= MAX_LINE else parse(raw)

    return read
