"""Digits in INFO: the two body types that telephones send, read as tolerantly as they are written.

No standard defines them. `application/dtmf-relay` has lines such as `Signal=5` and `Duration=160` (milliseconds);
`application/dtmf` has the digit alone. Some senders write the number of the event (RFC 4733 section 3.2) for the digits
behind 9, one type's text under the other's name, or all on one line, `Signal=5;Duration=160`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sipproxy.sip import PeerError, Request

_TYPES = ("application/dtmf-relay", "application/dtmf")
_DIGITS = "0123456789*#ABCD"
_BLANKS = r"[^\S\r\n]*"
_END = r"[;,\r\n]|\Z"
_FIELD = re.compile(
    rf"(?<![^\s;,])(signal|duration){_BLANKS}[=:]{_BLANKS}([^\s;,]{{0,16}})(?={_BLANKS}(?:{_END}|[a-z-]+{_BLANKS}[=:]))", re.IGNORECASE
)
_DURATION = re.compile(r"[0-9]{1,5}", re.ASCII)
_USUAL_MS = 100


@dataclass(frozen=True, slots=True)
class InfoDigit:
    """One press of a key; `digit` is one of `0123456789*#ABCD`."""

    digit: str
    duration_ms: int


def read_digit(info: Request) -> InfoDigit | None:
    """Return the digit of an INFO, None if its body is empty; raises PeerError 415 for other bodies and 400 for what is no digit."""
    if not info.body.strip():
        return None
    kind = (info.header("content-type") or "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise PeerError(415, "The body of the INFO is no digit.")
    text = info.body.decode("latin-1")
    found = {match[1].lower(): match[2] for match in _FIELD.finditer(text)}
    signal = found.get("signal", "" if found else text.strip())
    digit = _DIGITS[int(signal)] if signal.isascii() and signal.isdigit() and len(signal) == 2 and int(signal) < 16 else signal.upper()
    if len(digit) != 1 or digit not in _DIGITS:
        raise PeerError(400, "The INFO holds no digit.")
    duration = found.get("duration", "")
    return InfoDigit(digit, int(duration) if _DURATION.fullmatch(duration) else _USUAL_MS)
