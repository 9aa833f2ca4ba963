"""Copies of packets that a rule logs (linux/netfilter/nfnetlink_log.h): ask for those of a group, read one."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from mediarelay.netlink.messages import ACK, REQUEST, Message, attribute, attributes

__all__ = ["PacketCopy", "bind_group", "read_copy"]

_SUBSYSTEM = 4
_PACKET, _CONFIG = (_SUBSYSTEM << 8 | number for number in (0, 1))
_FAMILY_IPV4 = 2
_COMMAND, _MODE, _TIMEOUT, _QUEUE = 1, 2, 4, 5
_BIND = 1
_COPY_PACKET = 2
_MARK, _PAYLOAD = 2, 9
_TIMEOUT_CENTISECONDS = 5
_QUEUED_COPIES = 64

_FAMILY_HEADER = Struct("!BBH")
_WORD = Struct("!I")
_MODE_VALUE = Struct("!IBB")


@dataclass(frozen=True, slots=True)
class PacketCopy:
    """The first octets of an IPv4 packet, and the mark that a rule had put on it."""

    mark: int
    data: bytes


def bind_group(group: int, octets: int, sequence: int) -> bytes:
    """Return the wish to get `octets` of each packet that is logged to a group.

    The kernel gathers copies for up to 50 ms, so that reading them costs one wake for many.
    """
    body = b"".join(
        (
            _FAMILY_HEADER.pack(_FAMILY_IPV4, 0, group),
            attribute(_COMMAND, bytes((_BIND,))),
            attribute(_MODE, _MODE_VALUE.pack(octets, _COPY_PACKET, 0)),
            attribute(_TIMEOUT, _WORD.pack(_TIMEOUT_CENTISECONDS)),
            attribute(_QUEUE, _WORD.pack(_QUEUED_COPIES)),
        )
    )
    return bytes(Message(_CONFIG, REQUEST | ACK, sequence, body))


def read_copy(message: Message) -> PacketCopy | None:
    """Return the copy in a message, None where it holds none; raises NetlinkError."""
    if message.kind != _PACKET:
        return None
    fields = attributes(message.payload, _FAMILY_HEADER.size)
    mark, data = fields.get(_MARK), fields.get(_PAYLOAD)
    if mark is None or len(mark) != _WORD.size or data is None:
        return None
    return PacketCopy(int(_WORD.unpack(mark)[0]), data)
