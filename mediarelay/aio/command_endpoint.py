"""The channel between a relay's front and one of its workers: ng datagrams, each preceded by the client's address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from struct import Struct

from daemonkit.address import Address
from daemonkit.sockets import RECEIVE_BUFFER_BYTES

DATAGRAM_BYTES = 65_535 + 6
DATAGRAMS_PER_WAKE = 64
_PREFIX = Struct("!4sH")


def command_ways(workers: int) -> list[tuple[socket.socket, socket.socket]]:
    """Return, for each worker, the front's end of its channel and the worker's end."""
    ways = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(workers)]
    for end in (end for way in ways for end in way):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER_BYTES)
    return ways


class CommandEndpoint:
    """One end of a channel; it offers the interface of the ng address's own socket, whose address is `local`."""

    def __init__(self, sock: socket.socket, local: Address, on_datagram: Callable[[bytes, Address], None]) -> None:
        self.local = local
        self.errors = 0
        self._socket = sock
        self._on_datagram = on_datagram

    def open(self) -> None:
        """Start reading."""
        asyncio.get_running_loop().add_reader(self._socket, self._drain)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; a failure is counted in `errors` only, as the client repeats its command."""
        try:
            self._socket.send(_PREFIX.pack(socket.inet_aton(address[0]), address[1]) + data)
        except OSError:
            self.errors += 1

    def close(self) -> None:
        """Stop reading and close the socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _drain(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data = self._socket.recv(DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self.errors += 1
                return
            host, port = _PREFIX.unpack_from(data)
            self._on_datagram(data[_PREFIX.size :], (socket.inet_ntoa(host), port))
