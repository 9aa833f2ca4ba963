"""From a datagram to a checked message.

Everything that later code relies on is checked here once: one From, To, Call-ID and CSeq, a readable top Via, numbers in
range, a method that agrees with CSeq, a body as long as Content-Length says. Header fields that nothing here needs stay
unread.
"""

from __future__ import annotations

import re

from sipproxy.sip.errors import PeerError
from sipproxy.sip.limits import MAX_DATAGRAM, MAX_HEADER_LINE, MAX_HEADERS, MAX_START_LINE, MAX_VIAS
from sipproxy.sip.message import BadRequestError, Message, Request, Response
from sipproxy.sip.names import KNOWN_KEYS, key_of

_REQUEST_LINE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) (.+) SIP/(\d+\.\d+)", re.IGNORECASE | re.DOTALL)
_STATUS_LINE = re.compile(r"SIP/2\.0 (\d{3})(?: (.*))?", re.IGNORECASE | re.DOTALL)
_BAD_IN_URI = re.compile(r"[\s\x00-\x1f\x7f<>\"]")
_LINE_END = re.compile(rb"\r?\n")
# Within quotes a NUL may stand behind a backslash (RFC 3261 25.1, quoted-pair).
_QUOTED = re.compile(rb'"(?:[^"\\\0]++|\\.)*+"', re.DOTALL)
_BLANKS = (b" ", b"\t")
_SINGLE = ("from", "to", "call-id", "cseq")


def is_keepalive(data: bytes) -> bool:
    """Return whether a datagram holds nothing but a keep-alive: line breaks or zero octets (RFC 5626 3.5.1)."""
    return not data.strip(b"\r\n\0 ")


def parse_message(data: bytes) -> Request | Response:
    """Read one datagram; raises PeerError, which is a BadRequestError where a request can be answered."""
    if len(data) > MAX_DATAGRAM:
        raise PeerError(513, "Message Too Large")
    head, body = _split(data.lstrip(b"\r\n"))
    (start, *lines), broken = _lines(head)
    message, problem = _start(start)
    message.body = body
    problem = _read_headers(message, lines, has_nul=b"\0" in head) or problem or broken
    try:
        if problem is not None:
            raise problem
        _check(message)
        _check_vias(message, head)
    except PeerError as broken:
        request = _answerable(message)
        raise broken if request is None else BadRequestError(broken, request) from None
    return message


def _answerable(message: Message) -> Request | None:
    # A response that copies two Call-IDs would match no request; one to an ACK is forbidden (RFC 3261 17.1.1.3).
    if not isinstance(message, Request) or message.method == "ACK":
        return None
    return None if any(message.count(name) > 1 for name in _SINGLE) else message


def _split(data: bytes) -> tuple[bytes, bytes]:
    head, separator, body = data.partition(b"\r\n\r\n")
    if separator:
        return head, body
    if b"\r" in data:
        # The blank line is missing: the headers end with the datagram.
        return data.removesuffix(b"\r\n"), b""
    head, _, body = data.partition(b"\n\n")
    return head, body


def _lines(head: bytes) -> tuple[list[bytes], PeerError | None]:
    # Old stacks end lines with a bare LF. Either ending is accepted, a mixture is not: two parsers would read two different messages.
    if b"\r" not in head:
        return head.removesuffix(b"\n").split(b"\n"), None
    lines = head.split(b"\r\n")
    if head.count(b"\r") == head.count(b"\n") == len(lines) - 1:
        return lines, None
    # What is left is enough for a response, and cannot end a line of it.
    kept = [line for line in _LINE_END.split(head) if b"\r" not in line]
    return kept or [b""], PeerError(400, "Bare Line Break")


def _start(line: bytes) -> tuple[Request | Response, PeerError | None]:
    if len(line) > MAX_START_LINE:
        raise PeerError(414, "Request-URI Too Long")
    text = line.decode("utf-8", "surrogateescape")
    status = _STATUS_LINE.fullmatch(text)
    if status is not None:
        return Response(int(status[1]), status[2] or "", [], [], b""), None
    match = _REQUEST_LINE.fullmatch(text)
    if match is None:
        raise PeerError(400, "Bad Start Line")
    request = Request(match[1], match[2], [], [], b"")
    if _BAD_IN_URI.search(match[2]) is not None:
        return request, PeerError(400, "Bad Request-URI")
    return request, PeerError(505, "Version Not Supported") if match[3] != "2.0" else None


def _read_headers(message: Message, lines: list[bytes], *, has_nul: bool) -> PeerError | None:
    """Fill in the header fields; the good ones even if others are bad, so that a response can be made.

    `has_nul` says that there is a NUL somewhere: nearly never, so that the fields are not searched for one.
    """
    problem: PeerError | None = None
    keys: list[str] = []
    kept: list[bytes] = []
    unfolded = _unfolded(lines)
    for line in unfolded[:MAX_HEADERS]:
        name, colon, _ = line.partition(b":")
        key = KNOWN_KEYS.get(name) or key_of(name)
        if key is None or not colon or (has_nul and b"\0" in line and b"\0" in _QUOTED.sub(b"", line)):
            problem = PeerError(400, "Bad Header")
            if key == "via" and colon:
                # The way back of the response that says so.
                keys.append(key)
                kept.append(line.replace(b"\0", b""))
        elif len(line) > MAX_HEADER_LINE:
            problem = PeerError(400, "Header Too Long")
        else:
            keys.append(key)
            kept.append(line)
    message.fill(keys, kept)
    return PeerError(400, "Too Many Headers") if len(unfolded) > MAX_HEADERS else problem


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """Join each folded line with the lines that continue it (RFC 3261 7.3.1); the fold's bytes stay."""
    for line in lines:
        if line[:1] in _BLANKS:
            break
    else:
        return lines
    joined: list[list[bytes]] = []
    for line in lines:
        if line[:1] in _BLANKS and joined:
            joined[-1].append(line)
        else:
            joined.append([line])
    return [b"\r\n".join(parts) for parts in joined]


def _check(message: Request | Response) -> None:
    name = message.not_single(_SINGLE)
    if name is not None:
        raise PeerError(400, f"{name.title()} Must Be There Once")
    if not message.call_id:
        raise PeerError(400, "Empty Call-ID")
    _ = message.top_via, message.from_, message.to
    _check_length(message)
    if isinstance(message, Request):
        _check_request(message)
    elif not 100 <= message.status <= 699 or message.cseq.number < 0:
        raise PeerError(400, "Bad Status")


def _check_vias(message: Message, head: bytes) -> None:
    # Each Via is a field of its own or follows a comma: with few commas there is no need to split and count.
    if head.count(b",") + message.count("via") > MAX_VIAS and len(message.values("via")) > MAX_VIAS:
        raise PeerError(400, "Too Many Vias")


def _check_request(request: Request) -> None:
    if request.cseq.method != request.method:
        raise PeerError(400, "CSeq Names Another Method")
    if request.count("max-forwards") > 1:
        raise PeerError(400, "Max-Forwards Given Twice")
    _ = request.max_forwards


def _check_length(message: Message) -> None:
    """Cut the body to Content-Length: over UDP further octets are dropped, and a shorter body is an error (RFC 3261 18.3)."""
    texts = message.headers("content-length")
    if not texts:
        return
    if (len(texts) > 1 and len(set(texts)) > 1) or not texts[0].isascii() or not texts[0].isdigit() or len(texts[0]) > 10:
        raise PeerError(400, "Bad Content-Length")
    length = int(texts[0])
    if length > len(message.body):
        raise PeerError(400, "Body Shorter Than Content-Length")
    message.body = message.body[:length]
