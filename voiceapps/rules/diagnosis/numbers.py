"""The telephone number in a SIP or tel URI, written in one way, so that a call is found by it however its caller wrote it."""

from __future__ import annotations

import re
from urllib.parse import unquote

from voiceapps.rules.whole_numbers import is_digits

MAX_NUMBER = 32
MIN_NUMBER = 3
MAX_URI = 1024
"""Characters of a URI that are looked at, which is as many as are stored."""

_USER = re.compile(r"\s*(?:sips?:([^@;?:]*)[^@]*@|tel:([^;?]*))", re.IGNORECASE)
_VISUAL = str.maketrans("", "", " \t()-./")
"""What RFC 3966 lets stand between digits for the eye, with blanks and slashes, which people write as well."""


def number_of(uri: str) -> str:
    """Return the digits of the number that a URI names, without a leading `+` and at most `MAX_NUMBER` of them, or "" if it names none."""
    found = _USER.match(uri[:MAX_URI])
    return digits_of(unquote(found[1] or found[2] or "")) if found else ""


def digits_of(text: str, least: int = MIN_NUMBER) -> str:
    """Return the digits of a number as people write it, or "" if it has a letter or another sign, or fewer than the least digits."""
    digits = text.translate(_VISUAL).removeprefix("+")
    return digits[:MAX_NUMBER] if len(digits) >= least and is_digits(digits) else ""


def after_prefix(prefix: str) -> str:
    """Return the first digits behind all those that begin with a prefix, "" if nothing is behind them: `499` gives `5`."""
    kept = prefix.rstrip("9")
    return kept[:-1] + str(int(kept[-1]) + 1) if kept else ""
