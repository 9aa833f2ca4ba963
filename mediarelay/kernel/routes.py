"""Where a packet leaves this machine: devices, the route to an address, and what may change it (linux/rtnetlink.h, if_link.h, xfrm.h)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct

from mediarelay.kernel.messages import DUMP, REQUEST, Message, attribute, attributes, word

DEVICE_AND_ROUTE_GROUPS = 1 << 0 | 1 << 4 | 1 << 6 | 1 << 7
"""The groups that report changes of devices, IPv4 addresses, IPv4 routes and IPv4 rules."""
POLICY_GROUPS = 1 << 3
"""The same for IPsec policies, on the socket of xfrm."""

_NEW_LINK, _GET_LINK = 16, 18
_NEW_ROUTE, _GET_ROUTE = 24, 26
_NEW_POLICY, _GET_POLICY = 0x13, 0x15
_FAMILY_IPV4 = 2
_LINK_HEADER = Struct("=BxHiII")
_ROUTE_HEADER = Struct("=8BI")
_POLICY_ID_OCTETS = 64
_ADDRESS, _NAME, _MTU, _MASTER = 1, 3, 4, 10
_DESTINATION, _OUT, _GATEWAY, _OTHER_GATEWAY, _ENCAPSULATION = 1, 4, 5, 18, 22
_ETHERNET = 1
_UNICAST = 1
_LOOPBACK, _UP = 0x8, 0x1


@dataclass(frozen=True, slots=True)
class Device:
    """A network device that is not the loopback."""

    index: int
    name: str
    is_up: bool
    is_ethernet: bool
    mtu: int
    """Its MTU in octets."""
    address: str
    """Its hardware address, such as `02:00:00:00:00:01`."""
    master: int
    """The index of the bridge or bond that it is a port of, or 0."""


@dataclass(frozen=True, slots=True)
class Hop:
    """The next neighbour of a packet, and the index of the device that leads there."""

    device: int
    gateway: str


def ask_devices(sequence: int) -> bytes:
    """Return the request for all devices."""
    return bytes(Message(_GET_LINK, REQUEST | DUMP, sequence, _LINK_HEADER.pack(0, 0, 0, 0, 0)))


def read_device(message: Message) -> Device | None:
    """Return the device in an answer or a notice, or None if it holds none or the loopback; raises NetlinkError."""
    if message.kind != _NEW_LINK or len(message.payload) < _LINK_HEADER.size:
        return None
    _, hardware, index, flags, _ = _LINK_HEADER.unpack_from(message.payload)
    fields = attributes(message.payload, _LINK_HEADER.size)
    if flags & _LOOPBACK or _NAME not in fields:
        return None
    name = fields[_NAME].rstrip(b"\0").decode("utf-8", "replace")
    return Device(
        index=index,
        name=name,
        is_up=bool(flags & _UP),
        is_ethernet=hardware == _ETHERNET,
        mtu=word(fields.get(_MTU, b"")),
        address=fields.get(_ADDRESS, b"").hex(":"),
        master=word(fields.get(_MASTER, b"")),
    )


def ask_route(address: str, sequence: int) -> bytes:
    """Return the request for the route to an address."""
    header = _ROUTE_HEADER.pack(_FAMILY_IPV4, 32, 0, 0, 0, 0, 0, 0, 0)
    return bytes(Message(_GET_ROUTE, REQUEST, sequence, header + attribute(_DESTINATION, IPv4Address(address).packed)))


def read_hop(message: Message, address: str) -> Hop | None:
    """Return the next hop to an address, or None if the route is not a plain one over IPv4; raises NetlinkError."""
    if message.kind != _NEW_ROUTE or len(message.payload) < _ROUTE_HEADER.size:
        return None
    kind = _ROUTE_HEADER.unpack_from(message.payload)[7]
    fields = attributes(message.payload, _ROUTE_HEADER.size)
    if kind != _UNICAST or _OUT not in fields or _OTHER_GATEWAY in fields or _ENCAPSULATION in fields:
        return None
    gateway = fields.get(_GATEWAY, b"")
    return Hop(word(fields[_OUT]), str(IPv4Address(gateway)) if len(gateway) == 4 else address)


def ask_policies(sequence: int) -> bytes:
    """Return the request for all IPsec policies."""
    return bytes(Message(_GET_POLICY, REQUEST | DUMP, sequence, bytes(_POLICY_ID_OCTETS)))


def is_policy(message: Message) -> bool:
    """Return whether an answer is an IPsec policy."""
    return message.kind == _NEW_POLICY
