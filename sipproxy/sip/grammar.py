"""Fragments of RFC 3261's grammar (section 25.1) that several header types share.

All text is UTF-8 with `surrogateescape`, so every byte that came can leave again. Where a pattern is more liberal than the RFC, the
reason stands beside it. Every pattern is linear: repeats that could share characters with what follows are possessive.
"""

from __future__ import annotations

import re
from operator import methodcaller

from sipproxy.sip.errors import PeerError
from sipproxy.sip.limits import MAX_PARAMS, MAX_VALUES

Params = tuple[tuple[str, str | None], ...]

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105  the RFC calls it token; it is no password
QUOTED = r'"(?:[^"\\]++|\\.)*+"'
# hostname is liberal about underscores, which many private networks use.
HOST = r"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*+))"

_TOKEN = re.compile(TOKEN)
_PARAM = re.compile(rf"\s*+({TOKEN})\s*+(?:=\s*+({QUOTED}|[^\s;\",<>]*+)\s*+)?(?:;|$)", re.DOTALL)
# Nearly all parameters have neither blanks nor quotes: they need no search for each of them.
_PLAIN_PARAMS = re.compile(rf"{TOKEN}(?:=[^\s;\",<>]*+)?(?:;{TOKEN}(?:=[^\s;\",<>]*+)?)*+")
_PARTED = methodcaller("partition", "=")
_PIECE = re.compile(rf"{QUOTED}|<[^>]*>|[^\",<]+|,", re.DOTALL)


def is_token(text: str) -> bool:
    """Return whether a text is one token (RFC 3261 25.1)."""
    return _TOKEN.fullmatch(text) is not None


def parse_port(text: str) -> int:
    """Read a port, 0 to 65535."""
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > 65_535:
        raise PeerError(400, "Bad Port")
    return int(text)


def parse_params(text: str) -> Params:
    """Read `a=1;b;c="x"`, without the leading semicolon; values stay as they were written."""
    if not text:
        return ()
    if _PLAIN_PARAMS.fullmatch(text) is not None:
        return _plain_params(text)
    parts: list[tuple[str, str | None]] = []
    position = 0
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None or len(parts) >= MAX_PARAMS:
            raise PeerError(400, "Bad Parameter")
        parts.append((match[1], match[2]))
        position = match.end()
    return tuple(parts)


def _plain_params(text: str) -> Params:
    pieces = text.split(";")
    if len(pieces) > MAX_PARAMS:
        raise PeerError(400, "Bad Parameter")
    return tuple((name, value if equals else None) for name, equals, value in map(_PARTED, pieces))


def format_params(params: Params) -> str:
    """Write parameters back, each with its leading semicolon."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def param(params: Params, name: str) -> str | None:
    """Return the value of a parameter, "" for one without a value, None where it is absent; `name` in lower case."""
    for key, value in params:
        if key == name or key.lower() == name:
            return value or ""
    return None


def with_param(params: Params, name: str, value: str | None) -> Params:
    """Return the parameters with one of them set: in its place if it was there, else at the end."""
    if param(params, name) is None:
        return (*params, (name, value))
    return tuple((key, value) if key.lower() == name else (key, old) for key, old in params)


def split_values(text: str) -> list[str]:
    """Split a header value at its commas, but not within quotes or angle brackets."""
    if "," not in text:
        return [text]
    if '"' not in text and "<" not in text:
        return _bounded([piece.strip() for piece in text.split(",")])
    values: list[str] = []
    current: list[str] = []
    position = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None:
            raise PeerError(400, "Unbalanced Quotes")
        if len(values) >= MAX_VALUES:
            raise PeerError(400, "Too Many Values")
        if match[0] == ",":
            values.append("".join(current).strip())
            current = []
        else:
            current.append(match[0])
        position = match.end()
    values.append("".join(current).strip())
    return _bounded(values)


def _bounded(values: list[str]) -> list[str]:
    if len(values) > MAX_VALUES:
        raise PeerError(400, "Too Many Values")
    return values


def unquote(text: str) -> str:
    """Return the text of a quoted string with its escapes undone; any other text unchanged."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL) if "\\" in inner else inner


def quote(text: str) -> str:
    """Return a text as a quoted string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def has_line_break(text: str) -> bool:
    """Return whether a text could end a header line and start another."""
    return "\r" in text or "\n" in text
