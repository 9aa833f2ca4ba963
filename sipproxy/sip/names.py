"""Names of header fields: one key for every spelling.

A key is the full name in lower case. `v`, `VIA` and `Via ` all have the key `via` (RFC 3261 7.3.1, 7.3.3).
"""

from __future__ import annotations

import re

COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_WELL_KNOWN = (
    "Accept Allow Allow-Events Authorization Call-ID Contact Content-Disposition Content-Length Content-Type CSeq Date Event "
    "Expires From Max-Forwards Min-SE P-Asserted-Identity P-Sipuri-Call Privacy Proxy-Authenticate Proxy-Authorization "
    "Proxy-Require RAck Reason Record-Route Refer-To Require Retry-After Route RSeq Server Session-Expires Subject Supported "
    "To Unsupported User-Agent Via Warning WWW-Authenticate"
).split()

# The usual spellings are looked up instead of computed: this runs for every header of every message.
KNOWN_KEYS: dict[bytes, str] = {name.encode(): name.lower() for name in _WELL_KNOWN}
KNOWN_KEYS |= {name.lower().encode(): name.lower() for name in _WELL_KNOWN}
KNOWN_KEYS |= {letter.encode(): key for letter, key in COMPACT.items()}
KNOWN_KEYS |= {letter.upper().encode(): key for letter, key in COMPACT.items()}
SPELLED = {raw.decode(): held for raw, held in KNOWN_KEYS.items()}

_TOKEN = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]+")


def key_of(raw: bytes) -> str | None:
    """Return the key of a header name as received, blanks behind it included; None when it is no token."""
    name = raw.rstrip(b" \t")
    if _TOKEN.fullmatch(name) is None:
        return None
    return key(name.decode("ascii"))


def key(name: str) -> str:
    """Return the key of a name that our own code spells."""
    known = SPELLED.get(name)
    if known is not None:
        return known
    lowered = name.lower()
    return COMPACT.get(lowered, lowered)
