"""The encoding of netlink: messages with a header, and attributes that may hold attributes (netlink(7)).

Numbers are in the machine's byte order unless netfilter says otherwise; everything is aligned to four octets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Self

REQUEST, ACK, ECHO, DUMP, CREATE, APPEND = 0x001, 0x004, 0x008, 0x300, 0x400, 0x800
ERROR, DONE = 2, 3

_HEADER = Struct("=IHHII")
_ATTRIBUTE = Struct("=HH")
_NUMBER = Struct("=i")
_WORD = Struct("=I")
_NESTED = 0x8000
_KIND = 0x3FFF


class NetlinkError(ValueError):
    """The octets are not a well-formed netlink message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `payload` is what follows the header."""

    kind: int
    flags: int
    sequence: int
    payload: bytes

    @classmethod
    def parse_all(cls, data: bytes) -> Iterator[Self]:
        """Yield the messages of one read; raises NetlinkError."""
        position = 0
        while position + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, position)
            if length < _HEADER.size or position + length > len(data):
                raise NetlinkError("A netlink message is truncated.")
            yield cls(kind, flags, sequence, data[position + _HEADER.size : position + length])
            position += _aligned(length)

    def __bytes__(self) -> bytes:
        length = _HEADER.size + len(self.payload)
        return _HEADER.pack(length, self.kind, self.flags, self.sequence, 0) + self.payload + bytes(-length % 4)

    @property
    def error(self) -> int | None:
        """Return the errno of a kernel's answer, 0 for an acknowledgement, None if the message is neither."""
        if self.kind != ERROR or len(self.payload) < _NUMBER.size:
            return None
        return -int(_NUMBER.unpack_from(self.payload)[0])


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute; raises NetlinkError if its length cannot be encoded."""
    length = _ATTRIBUTE.size + len(value)
    if length > 0xFFFF:
        raise NetlinkError("A netlink attribute is too long.")
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(inner))


def attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """Return attributes by kind; the last one of each kind counts. Raises NetlinkError."""
    return {kind: data[first:end] for kind, first, end in each_span(data, start, len(data))}


def each_attribute(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield kind and value of each attribute from `start`; raises NetlinkError."""
    return ((kind, data[first:end]) for kind, first, end in each_span(data, start, len(data)))


def each_span(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, begin and end of each attribute's value between two positions; raises NetlinkError."""
    position = start
    while position + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size or position + length > end:
            raise NetlinkError("A netlink attribute is truncated.")
        yield kind & _KIND, position + _ATTRIBUTE.size, position + length
        position += _aligned(length)


def word(value: bytes) -> int:
    """Return an attribute's value as a number of up to four octets."""
    return int(_WORD.unpack(value[:4].ljust(4, b"\0"))[0])


def _aligned(length: int) -> int:
    return (length + 3) & ~3
