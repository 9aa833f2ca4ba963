"""The machine's own IPv4 addresses."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

from daemonkit.address import Address

_SIOCGIFCONF = 0x8912
_NAME_BYTES = 16
_ENTRY_BYTES = 40  # struct ifreq of 64-bit Linux: a name and a sockaddr in a union of 24
_ADDRESS_AT = slice(_NAME_BYTES + 4, _NAME_BYTES + 8)
MAX_ADDRESSES = 256
# A documentation address: connecting a UDP socket to it sends nothing and shows which local address the default route uses.
ELSEWHERE = ("192.0.2.1", 9)


def local_addresses() -> tuple[str, ...]:
    """Return the IPv4 addresses of all interfaces that are up, in the kernel's order."""
    room = array.array("B", bytes(MAX_ADDRESSES * _ENTRY_BYTES))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        wanted = struct.pack("iL", len(room), room.buffer_info()[0])
        used = struct.unpack("iL", fcntl.ioctl(probe, _SIOCGIFCONF, wanted))[0]
    entries = (room[start : start + _ENTRY_BYTES].tobytes() for start in range(0, used, _ENTRY_BYTES))
    return tuple(dict.fromkeys(socket.inet_ntoa(entry[_ADDRESS_AT]) for entry in entries))


def default_route_address() -> str:
    """Return the local address that the default route uses, 127.0.0.1 where there is no route."""
    return address_towards(ELSEWHERE)


def address_towards(peer: Address) -> str:
    """Return the local address from which datagrams go to a peer, 127.0.0.1 where there is no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(peer)
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
