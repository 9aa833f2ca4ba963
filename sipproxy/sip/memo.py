"""A cache of parsed header lines and Request-URIs.

The messages of one call repeat the same From, To and Via lines a dozen times, and values are immutable: the same line is the
same value. Only short lines are cached, a bounded number of them; the least recently used ones are dropped first.
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
    """Return a parser with a cache; what it refuses is parsed and refused anew each time."""
    lookup = lru_cache(maxsize=MAX_REMEMBERED)(parse)

    @wraps(parse)
    def read(raw: K) -> V:
        return lookup(raw) if len(raw) <= MAX_LINE else parse(raw)

    return read
