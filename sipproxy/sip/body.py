"""The session description in a body, alone or among other parts, and its replacement (RFC 2046 5.1, RFC 5621).

The rest of the body stays as it came, octet by octet: ISUP parts, locations and pictures are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sipproxy.sip.errors import PeerError
from sipproxy.sip.grammar import param, parse_params, unquote
from sipproxy.sip.limits import MAX_HEADERS, MAX_PART_DEPTH, MAX_PARTS
from sipproxy.sip.message import Message
from sipproxy.sip.names import key_of

DESCRIPTION = "application/sdp"
_EARLY = "early-session"
"""The disposition of a description for another session, before the answer (RFC 3959); any other describes the session."""
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,\-./:=? ]{1,70}(?<! )")
_NUMBER = re.compile(rb"\d+")


@dataclass(frozen=True, slots=True)
class Description:
    """The position of a session description in a body, and of the Content-Length of its part."""

    start: int
    end: int
    length: tuple[int, int] | None = None

    def of(self, body: bytes) -> bytes:
        """Return the description's octets."""
        return body[self.start : self.end]

    def replaced(self, body: bytes, sdp: bytes) -> bytes:
        """Return the body with another description in this one's place."""
        head = body[: self.start]
        if self.length is not None:
            first, last = self.length
            head = head[:first] + str(len(sdp)).encode() + head[last:]
        return head + sdp + body[self.end :]


def find_description(message: Message) -> Description | None:
    """Return the position of a message's session description, None if it has none.

    Raises PeerError where a description may hide: 400 for a multipart body that cannot be parsed, 415 for an encoded body.
    """
    if not message.body:
        # Most messages, and each is asked several times.
        return None
    kind = message.header("content-type") or ""
    is_whole, is_multipart = _media_type(kind) == DESCRIPTION, _is_multipart(kind)
    if (is_whole or is_multipart) and _is_encoded(message):
        raise PeerError(415, "Unsupported Content-Encoding")
    if is_whole:
        return Description(0, len(message.body))
    return next((part.description for part in _parts(message) if part.describes_session), None) if is_multipart else None


def is_optional(message: Message) -> bool:
    """Return whether a message's sender can do without an answer to its body, or to each part (RFC 3261 section 20.11)."""
    if _handling(message.header("content-disposition") or "") == "optional":
        return True
    if not message.body or not _is_multipart(message.header("content-type") or ""):
        return False
    return all(_handling(part.disposition) == "optional" for part in _parts(message))


@dataclass(frozen=True, slots=True)
class _Part:
    """One part that is not multipart itself."""

    media_type: str
    disposition: str
    """The value of its Content-Disposition, empty if it has none."""
    description: Description
    """Where the part's content is."""

    @property
    def describes_session(self) -> bool:
        return self.media_type == DESCRIPTION and _media_type(self.disposition) != _EARLY


def _parts(message: Message) -> Iterator[_Part]:
    """Yield the parts of a multipart body, in their order; raises PeerError 400 where it cannot be taken apart."""
    return _Search(message.body).run(message.header("content-type") or "", 0, len(message.body), depth=0)


class _Search:
    """A walk through the parts of one body, a bounded number of them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._count = 0

    def run(self, kind: str, start: int, end: int, *, depth: int) -> Iterator[_Part]:
        """Yield the parts in a range of the body that has this multipart type."""
        if depth == MAX_PART_DEPTH:
            raise PeerError(400, "Multipart Too Deep")
        for part_start, part_end in self._stretches(_boundary(kind), start, end):
            yield from self._in_part(part_start, part_end, depth)

    def _stretches(self, boundary: bytes, start: int, end: int) -> list[tuple[int, int]]:
        # The line break before a delimiter belongs to the delimiter. Some senders forget the last delimiter.
        marks = list(re.finditer(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)", self._body[start:end]))
        self._count += len(marks)
        if not marks or marks[0][1] or self._count > MAX_PARTS:
            raise PeerError(400, "Bad Multipart Body")
        ends = [*(mark.start() for mark in marks[1:]), end - start]
        return [(start + mark.end(), start + to) for mark, to in zip(marks, ends, strict=True) if not mark[1]]

    def _in_part(self, start: int, end: int, depth: int) -> Iterator[_Part]:
        separator = re.compile(rb"(?:\A|\r?\n)\r?\n").search(self._body[start:end])
        if separator is None:
            raise PeerError(400, "Bad Multipart Body")
        content = start + separator.end()
        kind, length, disposition = "text/plain", None, ""
        position = start
        lines = self._body[start : start + separator.start()].split(b"\n", MAX_HEADERS)
        if len(lines) > MAX_HEADERS:
            raise PeerError(400, "Too Many Headers In A Part")
        for line in lines:
            name, _, value = line.partition(b":")
            key = key_of(name)
            if key == "content-type":
                kind = value.strip().decode("utf-8", "surrogateescape")
            elif key == "content-disposition":
                disposition = value.decode("latin-1")
            elif key == "content-length" and (digits := _NUMBER.search(line, len(name))):
                length = position + digits.start(), position + digits.end()
            position += len(line) + 1
        if _is_multipart(kind):
            yield from self.run(kind, content, end, depth=depth + 1)
        else:
            yield _Part(_media_type(kind), disposition, Description(content, end, length))


def _is_encoded(message: Message) -> bool:
    return (message.header("content-encoding") or "identity").strip().lower() != "identity"


def _is_multipart(kind: str) -> bool:
    return _media_type(kind).startswith("multipart/")


def _handling(disposition: str) -> str:
    """Return the `handling` of a Content-Disposition in lower case, empty if it has none."""
    parameters = "".join(disposition.lower().split()).split(";")[1:]
    return next((value.strip('"') for name, _, value in (text.partition("=") for text in parameters) if name == "handling"), "")


def _media_type(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


def _boundary(kind: str) -> bytes:
    text = unquote(param(parse_params(kind.partition(";")[2].strip()), "boundary") or "")
    if _BOUNDARY.fullmatch(text) is None:
        raise PeerError(400, "Bad Multipart Boundary")
    return text.encode()
