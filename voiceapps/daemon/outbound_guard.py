"""The guard of outbound connections, which checks the address at the moment of connecting, after DNS.

So DNS rebinding, decimal hosts and mapped IPv6 addresses do not get around it.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

# IPv6 prefixes that carry an IPv4 address inside: NAT64, 6to4, Teredo.
_TUNNELS = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("2002::/16"), IPv6Network("2001::/32"))


def is_public(address: str) -> bool:
    """Return whether an IP address is a public unicast address."""
    ip = ip_address(address.split("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast
    return ip.is_global and not ip.is_multicast and not any(ip in tunnel for tunnel in _TUNNELS)


def guarded_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address that `getaddrinfo` gave; raises OSError unless it is public."""
    address = address_info[4][0]
    if not is_public(address):
        raise OSError(errno.EACCES, f"{address} is not a public address")
    return plain_socket(address_info)


def plain_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """Return a socket for any address that `getaddrinfo` gave."""
    family, kind, protocol, _, _ = address_info
    return socket.socket(family=family, type=kind, proto=protocol)
