"""Unused ports on the bench's own addresses."""

from __future__ import annotations

import random
import socket
from itertools import cycle, islice

# Below the ports that the system assigns itself and those of media. sipp takes the neighbours of a media port without being told.
RANGE = range(10_000, 29_992, 8)
_first = random.randrange(len(RANGE))
_ports = cycle([*RANGE[_first:], *RANGE[:_first]])


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> list[int]:
    """Return ports that are free on every address; none is returned twice before all have been."""
    return list(islice((port for port in _ports if is_free(port, kind)), count))


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> bool:
    """Return whether nobody has the port on any address."""
    with socket.socket(socket.AF_INET, kind) as sock:
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
