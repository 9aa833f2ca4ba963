"""Read and write UDP by non-blocking sockets on the event loop's reader.

asyncio's own datagram transport asks the kernel for a 256 KiB buffer per packet and wraps each one in a callback;
draining a plain socket costs a fifth of that.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

Address = tuple[str, int]

DATAGRAM_BYTES = 65_535
DATAGRAMS_PER_WAKE = 64
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

_REASONS = {
    errno.EADDRINUSE: "is already in use",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
    errno.EACCES: "needs more rights than this user has",
}


class AddressUnavailable(OSError):
    """Say in one sentence which address could not be bound and why."""

    def __init__(self, transport: str, address: Address, error: OSError) -> None:
        reason = _REASONS.get(error.errno or 0, f"cannot be bound: {error.strerror}")
        super().__init__(f"{transport} {address[0]}:{address[1]} {reason}.")


class UdpEndpoint:
    """Deliver each datagram of one bound socket to a callable, at most 64 per wake-up."""

    def __init__(self, address: Address, on_datagram: Callable[[bytes, Address], None]) -> None:
        self.local = address
        self.errors = 0
        self._on_datagram = on_datagram
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Bind the socket and start reading; raises AddressUnavailable."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        try:
            sock.bind(self.local)
        except OSError as error:
            sock.close()
            raise AddressUnavailable("UDP", self.local, error) from error
        self.local = sock.getsockname()
        self._socket = sock
        asyncio.get_running_loop().add_reader(sock, self._drain)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; a failure is counted in `errors`, as UDP may lose it anyway."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.errors += 1

    def close(self) -> None:
        """Stop reading and close the socket."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None

    def _drain(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            if self._socket is None:
                return
            try:
                data, address = self._socket.recvfrom(DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error of an earlier send surfaces here; the socket itself is fine.
                self.errors += 1
                continue
            self._on_datagram(data, address)
