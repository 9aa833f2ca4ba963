"""Find where a request ends before anybody works on it (RFC 9112 sections 2, 6 and 7).

What a request means is for gunicorn's parser to say: it gets the head as it came. A head that frames its body in a way that is in doubt
is handed on without a body and ends the connection, so what follows is never taken for a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from sipuri_project.web.chunks import BadChunkError, ChunkedBody
from sipuri_project.web.limits import MAX_HEAD

BAD_BODY = "sipuri.bad_body"
"""The key in a request's `META` by which the worker says that the body's end could not be told. Header fields cannot set it."""
MAX_LENGTH_DIGITS = 15
"""More digits than these are more octets than anybody takes; Python would refuse to read thousands of them."""


class Phase(Enum):
    """What is missing of the next request."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class Fault(Enum):
    """Why a request is handed on without its body."""

    LONG_HEAD = auto()
    LARGE_BODY = auto()
    BAD_CHUNK = auto()
    DOUBTFUL_LENGTH = auto()


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """A request of which nothing is missing that will be read."""

    head: bytes
    body: bytes = b""
    fault: Fault | None = None
    """With one, the end of the request is unknown: nothing after it on the connection is read."""

    @property
    def path(self) -> bytes:
        """The path in the request line, empty if there is none."""
        words = self.head.split(b"\r\n", 1)[0].split(b" ")
        return words[1].partition(b"?")[0] if len(words) > 1 else b""


@dataclass(frozen=True, slots=True)
class _Framing:
    """How the head says that its body ends."""

    length: int = 0
    in_chunks: bool = False
    is_doubtful: bool = False
    expects_continue: bool = False


class RequestReader:
    """The octets of one connection, cut into requests whose bodies have at most `max_body` octets."""

    def __init__(self, max_body: int) -> None:
        self.waiting = bytearray()
        self._max_body = max_body
        self._head = b""
        self._framing: _Framing | None = None
        self._chunks: ChunkedBody | None = None
        self._searched = 0

    @property
    def phase(self) -> Phase:
        """What the reader waits for."""
        if self._framing is not None:
            return Phase.BODY
        return Phase.HEAD if self.waiting else Phase.IDLE

    def take_continue(self) -> bool:
        """Return, once a request, whether the client holds its body back until it is asked for it (RFC 9110 section 10.1.1)."""
        if self._framing is None or not self._framing.expects_continue or self.waiting:
            return False
        self._framing = replace(self._framing, expects_continue=False)
        return True

    def receive(self, data: bytes) -> None:
        """Add what the client has sent."""
        self.waiting += data

    def next_request(self) -> WholeRequest | None:
        """Return the next request that has arrived whole, or that needs no more to be refused."""
        if self._framing is None:
            refused = self._take_head()
            if refused is not None or self._framing is None:
                return refused
        return self._take_body(self._framing)

    def _take_head(self) -> WholeRequest | None:
        """Take the head if it is there; return the request if it is to be refused for its head."""
        if self.waiting.startswith(b"\r\n"):
            # One empty line may stand before a request (RFC 9112 section 2.2).
            del self.waiting[:2]
        end = self.waiting.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(len(self.waiting) - 3, 0)
            return self._refuse(Fault.LONG_HEAD) if len(self.waiting) > MAX_HEAD else self._doubt_bare_lines()
        if end + 4 > MAX_HEAD:
            return self._refuse(Fault.LONG_HEAD)
        self._searched = 0
        self._head = bytes(self.waiting[: end + 4])
        del self.waiting[: end + 4]
        self._framing = _framing_of(self._head)
        self._chunks = ChunkedBody(self._max_body) if self._framing.in_chunks else None
        return None

    def _doubt_bare_lines(self) -> WholeRequest | None:
        """Refuse a head of lines that end in LF alone: for us it would never end."""
        return self._refuse(Fault.DOUBTFUL_LENGTH) if b"\n\n" in self.waiting else None

    def _take_body(self, framing: _Framing) -> WholeRequest | None:
        if framing.is_doubtful:
            return self._finish(fault=Fault.DOUBTFUL_LENGTH)
        if self._chunks is not None:
            return self._take_chunks(self._chunks)
        if framing.length > self._max_body:
            return self._finish(fault=Fault.LARGE_BODY)
        if len(self.waiting) < framing.length:
            return None
        body = bytes(self.waiting[: framing.length])
        del self.waiting[: framing.length]
        return self._finish(body)

    def _take_chunks(self, chunks: ChunkedBody) -> WholeRequest | None:
        try:
            chunks.take(self.waiting)
        except BadChunkError:
            return self._finish(fault=Fault.BAD_CHUNK)
        if chunks.is_too_large:
            return self._finish(fault=Fault.LARGE_BODY)
        return self._finish(bytes(chunks.content)) if chunks.is_complete else None

    def _refuse(self, fault: Fault) -> WholeRequest:
        self._head = bytes(self.waiting[:MAX_HEAD])
        return self._finish(fault=fault)

    def _finish(self, body: bytes = b"", fault: Fault | None = None) -> WholeRequest:
        request = WholeRequest(self._head, body, fault)
        self._head, self._framing, self._chunks = b"", None, None
        if fault:
            self.waiting.clear()
        return request


def _framing_of(head: bytes) -> _Framing:
    lengths = list(_values(head, b"content-length"))
    codings = list(_values(head, b"transfer-encoding"))
    expects = any(value.lower() == b"100-continue" for value in _values(head, b"expect"))
    if codings:
        return _Framing(in_chunks=True, is_doubtful=[c.lower() for c in codings] != [b"chunked"] or bool(lengths), expects_continue=expects)
    if not lengths:
        return _Framing()
    text = lengths[0]
    if len(lengths) > 1 or not text.isdigit():
        return _Framing(is_doubtful=True)
    return _Framing(length=int(text[: MAX_LENGTH_DIGITS + 1]), expects_continue=expects)


def _values(head: bytes, name: bytes) -> Iterator[bytes]:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.strip(b" \t").lower() == name:
            yield value.strip(b" \t")
