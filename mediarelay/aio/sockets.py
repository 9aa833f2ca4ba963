"""Media sockets: one plain non-blocking socket for each port, behind an epoll of their own.

asyncio's datagram transport would cost several times as much a packet, and so would a call of the event loop for each
socket that has one. So the loop watches one descriptor, the epoll; when that is ready, we ask it for all sockets that
are and take one datagram from each. All read into one buffer, because a datagram is judged and sent on before the next
is read.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable

from mediarelay.core.config import Address
from mediarelay.core.relay import MediaRelay

__all__ = ["MediaSockets"]

ROUNDS_PER_WAKE = 64
SOCKETS_PER_ROUND = 512
DATAGRAMS_PER_WAKE = 1_024
"""After so many, commands have their turn."""
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
        self._locals: dict[int, tuple[socket.socket, Address]] = {}
        self._poller: select.epoll | None = None
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
                del self._locals[sock.fileno()]
                sock.close()

    def close(self) -> None:
        """Close all ports."""
        for host, port in list(self._sockets):
            self.close_pair(host, port & ~1)
        if self._poller is not None:
            asyncio.get_running_loop().remove_reader(self._poller)
            self._poller.close()

    def _on_ready(self, poller: select.epoll) -> None:
        taken = 0
        for _ in range(ROUNDS_PER_WAKE):
            ready = poller.poll(0, SOCKETS_PER_ROUND)
            taken += len(ready)
            if not ready or taken > DATAGRAMS_PER_WAKE:
                break
            now = self._clock()
            for number, _ in ready:
                self._relay_one(*self._locals[number], now)
        if self._relay.has_events():
            self._on_events()

    def _relay_one(self, sock: socket.socket, local: Address, now: float) -> None:
        try:
            size, source = sock.recvfrom_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            self.errors += 1
            return
        flow = self._relay.receive_media(local, self._buffer, size, source, now)
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
        self._locals[sock.fileno()] = sock, local
        if self._poller is None:
            self._poller = select.epoll()
            asyncio.get_running_loop().add_reader(self._poller, self._on_ready, self._poller)
        self._poller.register(sock, select.EPOLLIN)


def _bind(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
