"""Sockets that are bound and non-blocking, with errors that an operator understands."""

from __future__ import annotations

import errno
import socket

from daemonkit.address import Address
from daemonkit.errors import CannotStart

RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
BACKLOG = 1_024

_REASONS = {
    errno.EADDRINUSE: "is already in use",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
    errno.EACCES: "needs more rights than this user has",
}


class AddressUnavailable(CannotStart):
    """One sentence that says which address could not be bound and why."""

    def __init__(self, transport: str, address: Address, error: OSError) -> None:
        reason = _REASONS.get(error.errno or 0, f"cannot be bound: {error.strerror}")
        super().__init__(f"{transport} {address[0]}:{address[1]} {reason}.")


def open_udp(address: Address, *, shared: bool = False) -> socket.socket:
    """Return a bound socket; `shared` lets others of this user bind the address too. Raises AddressUnavailable."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return _bound(sock, "UDP", address, shared=shared)


def open_tcp(address: Address, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; raises AddressUnavailable."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bound(sock, "TCP", address, shared=shared)
    sock.listen(BACKLOG)
    return sock


def _bound(sock: socket.socket, transport: str, address: Address, *, shared: bool) -> socket.socket:
    sock.setblocking(False)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise AddressUnavailable(transport, address, error) from error
    return sock
