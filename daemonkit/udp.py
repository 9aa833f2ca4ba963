"""UDP by a non-blocking socket on the event loop's reader.

asyncio's own datagram transport allocates a 256 KiB buffer per packet and wraps each one in a callback; reading a plain socket
until it is empty costs a fifth of that.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable

from daemonkit.address import Address
from daemonkit.sockets import open_udp

DATAGRAM_BYTES = 65_535
DATAGRAMS_PER_WAKE = 64
MAX_WAITED = 60.0
"""Longer than a process can stand still before its peers give it up; a clock that was set meanwhile says anything."""
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("=qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)


class UdpEndpoint:
    """One bound socket; each datagram goes to a callable, at most 64 per wake-up of the event loop.

    With `stamped`, `came_at` says when the datagram that is handed on came, by the monotonic clock: the process may have been stopped
    since, before it was read or after.
    """

    def __init__(self, address: Address, on_datagram: Callable[[bytes, Address], None], *, stamped: bool = False) -> None:
        self.local = address
        self.errors = 0
        self.came_at = 0.0
        self._on_datagram = on_datagram
        self._receive = self._receive_stamped if stamped else self._receive_plain
        self._stamped = stamped
        self._waited = 0.0
        """The seconds between the coming of the last datagram and its reading."""
        self._socket: socket.socket | None = None

    def open(self, sock: socket.socket | None = None) -> None:
        """Bind a socket, or take one that is bound, and start reading; raises AddressUnavailable."""
        sock = sock or open_udp(self.local)
        self.local = sock.getsockname()
        self._socket = sock
        if self._stamped:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        asyncio.get_running_loop().add_reader(sock, self.read)

    def stop_reading(self) -> None:
        """Have what comes wait until `read` is called."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)

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

    def read(self, fresh_seconds: float = 0.0) -> None:
        """Hand on what has come, at most 64 datagrams; one that came less than `fresh_seconds` ago is taken for the last one.

        Who reads regularly spares itself the question whether there are more: what is left is no longer fresh at the next reading.
        """
        for _ in range(DATAGRAMS_PER_WAKE):
            if self._socket is None:
                return
            try:
                data, address = self._receive(self._socket)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error of an earlier send surfaces here; the socket itself is fine.
                self.errors += 1
                continue
            self._on_datagram(data, address)
            if self._waited < fresh_seconds:
                return

    def _receive_plain(self, sock: socket.socket) -> tuple[bytes, Address]:
        return sock.recvfrom(DATAGRAM_BYTES)

    def _receive_stamped(self, sock: socket.socket) -> tuple[bytes, Address]:
        data, ancillary, _, address = sock.recvmsg(DATAGRAM_BYTES, _ANCILLARY_BYTES)
        self._waited = _waited(ancillary)
        self.came_at = time.monotonic() - self._waited
        return data, address


def _waited(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Return the seconds since the kernel took a datagram; 0 if it does not say when."""
    # Nothing else is asked for, and there is room for nothing else.
    if len(ancillary) != 1 or len(ancillary[0][2]) != _TIMESPEC.size:
        return 0.0
    seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
    waited: float = time.time() - seconds - nanoseconds / 1e9
    return waited if 0.0 < waited <= MAX_WAITED else 0.0
