"""UDP by a non-blocking socket on the event loop's reader.

asyncio's own datagram transport allocates a 256 KiB buffer per packet and wraps each one in a callback; reading a plain socket
until it is empty costs a fifth of that.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from daemonkit.address import Address
from daemonkit.sockets import open_udp

DATAGRAM_BYTES = 65_535
DATAGRAMS_PER_WAKE = 64


class UdpEndpoint:
    """One bound socket; each datagram goes to a callable, at most 64 per wake-up of the event loop."""

    def __init__(self, address: Address, on_datagram: Callable[[bytes, Address], None]) -> None:
        self.local = address
        self.errors = 0
        self._on_datagram = on_datagram
        self._socket: socket.socket | None = None

    def open(self, sock: socket.socket | None = None) -> None:
        """Bind a socket, or take one that is bound, and start reading; raises AddressUnavailable."""
        sock = sock or open_udp(self.local)
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
