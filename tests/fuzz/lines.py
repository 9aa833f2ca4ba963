"""Find lines in an outgoing message that did not come in: the sign of an injected header."""

from __future__ import annotations

import re

# The names of lines that the proxy itself writes. Their values may differ from what came; no line may hold a bare CR or LF.
_OURS = re.compile(
    rb"SIP/2\.0 \d{3} [^\r\n]*"
    rb"|[A-Za-z0-9\-.!%*_+`'~]+ [^\r\n ]+ SIP/2\.0"
    rb"|(?:Via|To|From|Call-ID|Route|Record-Route|Contact|Max-Forwards|Content-Length|Content-Type|Allow|Unsupported|Retry-After"
    rb"|Proxy-Authenticate|P-Sipuri-Call|Supported|Expires|Reason): [^\r\n]*"
    rb"|CSeq: \d+ (?:ACK|BYE|CANCEL)|P-Sipuri-Age: \d+\.\d"
)
_BREAK = re.compile(rb"\r\n|\n|\r")


def lines_of(data: bytes) -> frozenset[bytes]:
    """Return the incoming lines, whatever ends them."""
    return frozenset(_BREAK.split(data))


def foreign_lines(data: bytes, came: frozenset[bytes] | set[bytes]) -> list[bytes]:
    """Return the header lines of an outgoing message that neither came in nor are of the kind that the proxy writes."""
    head = data.partition(b"\r\n\r\n")[0]
    return [line for line in head.split(b"\r\n") if line not in came and _OURS.fullmatch(line) is None]
