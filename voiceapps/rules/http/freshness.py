"""How long an answer may be used again without asking (RFC 9111 section 4.2), by a cache that serves one account alone."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

MAX_SECONDS = 86_400.0
"""What says that it lasts longer is asked again after a day all the same."""
_DIRECTIVE = re.compile(r'([a-z-]+)(?:\s*=\s*("[^"]*"|[^\s,"]+))?', re.IGNORECASE)


def fresh_seconds(cache_control: str, expires: str, age: str, now: float) -> float:
    """Return the seconds that the headers `Cache-Control`, `Expires` and `Age` allow; 0 for none, also where they make no sense."""
    directives = {name.lower(): value.strip('"') for name, value in _DIRECTIVE.findall(cache_control)}
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    if "max-age" in directives:
        lifetime = _number(directives["max-age"]) - _number(age)
    else:
        lifetime = _until(expires, now)
    return min(max(0.0, lifetime), MAX_SECONDS)


def _number(text: str) -> float:
    return float(text) if text.isascii() and text.isdecimal() else 0.0


def _until(expires: str, now: float) -> float:
    try:
        return parsedate_to_datetime(expires).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
