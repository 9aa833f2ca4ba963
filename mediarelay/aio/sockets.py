"""Media sockets: one plain non-blocking socket for each port, read where the event loop says it is readable.

asyncio's datagram transport would cost several times as much a packet. All sockets read into one buffer, because
a datagram is judged and sent on before the next is read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from mediarelay.core.config import Address
from mediarelay.core.relay import MediaRelay

__all__ = ["MediaSockets"]

DATAGRAMS_PER_WAKE = 64
DATAGRAM_BYTES = 65_535


class MediaSockets:
    """The bound ports of a relay; `on_events` is called when packets have made the core ask for something."""

    def __init__(self, relay: MediaRelay, clock: Callable[[], float], on_events: Callable[[], None]) -> None:
        self.errors = 0
        """Reads and sends that the system refused."""
        self._relay = relay
        self._clock = clock
        self._on_events = on_events
        self._sockets: dict[Address, socket.socket] = {}
        self._buffer = bytearray(DATAGRAM_BYTES)
        self._view = memoryview(self._buffer)

    def __len__(self) -> int:
        return len(self._sockets)

    def open_pair(self, host: str, port: int) -> bool:
        """Bind `port` and the next one; tell whether both could be had."""
        opened: list[socket.socket] = []
        try:
            for number in (port, port + 1):
                opened.append(_bind((host, number)))
        except OSError:
            for sock in opened:
                sock.close()
            return False
        for sock in opened:
            self._watch(sock)
        return True

    def close_pair(self, host: str, port: int) -> None:
        """Close what `open_pair` opened; a pair that never was is passed over."""
        for number in (port, port + 1):
            sock = self._sockets.pop((host, number), None)
            if sock is not None:
                asyncio.get_running_loop().remove_reader(sock)
                sock.close()

    def close(self) -> None:
        """Close all ports."""
        for host, port in list(self._sockets):
            self.close_pair(host, port & ~1)

    def _drain(self, sock: socket.socket, local: Address) -> None:
        self._relay_waiting(sock, local)
        if self._relay.has_events():
            self._on_events()

    def _relay_waiting(self, sock: socket.socket, local: Address) -> None:
        receive, buffer, now = self._relay.receive_media, self._buffer, self._clock()
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                size, source = sock.recvfrom_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                self.errors += 1
                return
            flow = receive(local, buffer, size, source, now)
            if flow is not None:
                self._send(flow.local, size, flow.target)

    def _send(self, local: Address, size: int, target: Address | None) -> None:
        if target is None:
            return
        try:
            self._sockets[local].sendto(self._view[:size], target)
        except OSError:
            self.errors += 1

    def _watch(self, sock: socket.socket) -> None:
        local: Address = sock.getsockname()
        self._sockets[local] = sock
        asyncio.get_running_loop().add_reader(sock, self._drain, sock, local)


def _bind(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
