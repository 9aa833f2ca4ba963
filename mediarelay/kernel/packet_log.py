"""Copies of packets that a rule logs (linux/netfilter/nfnetlink_log.h): subscribe to a group, read a copy."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from mediarelay.kernel.messages import ACK, REQUEST, Message, attribute, attributes

_SUBSYSTEM = 4
_PACKET, _CONFIG = (_SUBSYSTEM << 8 | number for number in (0, 1))
_FAMILY_IPV4 = 2
_COMMAND, _MODE, _BUFFER, _TIMEOUT, _QUEUE = 1, 2, 3, 4, 5
_BIND = 1
_COPY_PACKET = 2
_TIMESTAMP, _PAYLOAD = 3, 9
_TIMEOUT_CENTISECONDS = 10
_QUEUED_COPIES = 64
# A copy, with all that the kernel adds to it, takes up to 250 octets.
_BUFFER_OCTETS = 1 << 15

_FAMILY_HEADER = Struct("!BBH")
_WORD = Struct("!I")
_MODE_VALUE = Struct("!IBB")
_STAMP = Struct("!QQ")


class PacketCopy(NamedTuple):
    """The first octets of an IPv4 packet."""

    data: bytes
    at: float
    """When the kernel saw it, in seconds since 1970; 0 if the kernel does not say."""


def bind_group(group: int, octets: int, sequence: int) -> bytes:
    """Return the request for `octets` of each packet that is logged to a group.

    The kernel gathers copies for up to 100 ms, so that one wake reads many.
    """
    body = b"".join(
        (
            _FAMILY_HEADER.pack(_FAMILY_IPV4, 0, group),
            attribute(_COMMAND, bytes((_BIND,))),
            attribute(_MODE, _MODE_VALUE.pack(octets, _COPY_PACKET, 0)),
            attribute(_BUFFER, _WORD.pack(_BUFFER_OCTETS)),
            attribute(_TIMEOUT, _WORD.pack(_TIMEOUT_CENTISECONDS)),
            attribute(_QUEUE, _WORD.pack(_QUEUED_COPIES)),
        )
    )
    return bytes(Message(_CONFIG, REQUEST | ACK, sequence, body))


def read_copy(message: Message) -> PacketCopy | None:
    """Return the copy in a message, or None if it holds none; raises NetlinkError."""
    if message.kind != _PACKET:
        return None
    fields = attributes(message.payload, _FAMILY_HEADER.size)
    data, stamp = fields.get(_PAYLOAD), fields.get(_TIMESTAMP, b"")
    if data is None:
        return None
    seconds, microseconds = _STAMP.unpack(stamp) if len(stamp) == _STAMP.size else (0, 0)
    return PacketCopy(data, seconds + microseconds / 1e6)
