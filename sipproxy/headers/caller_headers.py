"""Headers of a caller's INVITE that an application has asked for, carried to the call flow as data and never as headers (D11)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from sipproxy.headers.limits import MAX_CARRIED_HEADERS, MAX_CARRIED_NAME, MAX_CARRIED_TEXT, MAX_CARRIED_VALUE
from sipproxy.sip import Request
from sipproxy.sip.grammar import unquote
from sipproxy.sip.text import printable

CARRIED_HEADER = "P-Sipuri-Headers"
FROM = "from"
_IDENTITY = ("p-asserted-identity", "privacy")
_HISTORY = "history-info"


def carried_text(request: Request) -> str:
    """Return the header's text: base64url of JSON `{lower-case name: value}`, without padding; what is beyond the bounds is left out."""
    kept: dict[str, str] = {}
    for name, value in _found(request):
        if len(name) > MAX_CARRIED_NAME or len(value) > MAX_CARRIED_VALUE or (name not in kept and len(kept) >= MAX_CARRIED_HEADERS):
            continue
        before = kept.get(name)
        kept[name] = value
        if len(_text(kept)) > MAX_CARRIED_TEXT:
            if before is None:
                del kept[name]
            else:
                kept[name] = before
    return _text(kept)


def _found(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the names and values that may be carried, a later one of the same name after an earlier one."""
    display = printable(unquote(request.from_.display)).strip()
    if display:
        yield FROM, display
    keys = dict.fromkeys(request.keys)
    for name in (*_IDENTITY, *(held for held in keys if held.startswith("x-"))):
        for value in request.headers(name)[-1:]:
            yield printable(name), printable(value)
    if _HISTORY in keys:
        yield _HISTORY, printable(", ".join(request.headers(_HISTORY)))


def _text(kept: dict[str, str]) -> str:
    octets = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")
