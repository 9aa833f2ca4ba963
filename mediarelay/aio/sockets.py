"""Media sockets: one plain non-blocking socket for each port, behind an epoll of their own.

asyncio's datagram transport would cost several times as much a packet, and so would a call of the event loop for each
socket that has one. So the loop watches one descriptor, the epoll; when that is ready, we ask it for all sockets that
are and take one datagram from each. All read into one buffer, because a datagram is judged and sent on before the next
is read.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
from collections.abc import Callable, Sequence

import structlog

from mediarelay.core.config import Address
from mediarelay.core.relay import MediaRelay

__all__ = ["MediaSockets"]

ROUNDS_PER_WAKE = 64
SOCKETS_PER_ROUND = 512
DATAGRAMS_PER_WAKE = 1_024
"""After so many, commands have their turn."""
DATAGRAM_BYTES = 65_535

log = structlog.get_logger(__name__)


class MediaSockets:
    """The bound ports of a relay; `on_events` is called when packets have made the core ask for something."""

    def __init__(self, relay: MediaRelay, clock: Callable[[], float], on_events: Callable[[], None]) -> None:
        self.errors = 0
        """Reads and sends that the system refused."""
        self._core = relay
        self._clock = clock
        self._on_events = on_events
        self._sockets: dict[Address, socket.socket] = {}
        self._locals: dict[int, tuple[socket.socket, Address]] = {}
        self._poller: select.epoll | None = None
        self._is_starved = False
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
        except OSError as error:
            for sock in opened:
                sock.close()
            self._note_refusal(error)
            return False
        self._is_starved = False
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

    def _note_refusal(self, error: OSError) -> None:
        """Say once that the system has no sockets left; a port that another program has is nothing to speak of."""
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM) and not self._is_starved:
            self._is_starved = True
            log.error("no_media_socket", error=error.strerror, sockets=len(self._sockets))

    def _on_ready(self, poller: select.epoll) -> None:
        taken = 0
        for _ in range(ROUNDS_PER_WAKE):
            ready = poller.poll(0, SOCKETS_PER_ROUND)
            taken += len(ready)
            if not ready or taken > DATAGRAMS_PER_WAKE:
                break
            self._relay(ready, self._clock())
        if self._core.has_events():
            self._on_events()

    def _relay(self, ready: Sequence[tuple[int, int]], now: float) -> None:
        """Take one datagram from each socket and send it on: some ten thousand times a second, so all in one place."""
        buffer, view, sockets = self._buffer, self._view, self._sockets
        receive = self._core.receive_media
        for number, _ in ready:
            sock, local = self._locals[number]
            try:
                size, source = sock.recvfrom_into(buffer)
                flow = receive(local, buffer, size, source, now)
                if flow is not None:
                    sockets[flow.local].sendto(view[:size], flow.target)  # type: ignore[arg-type]  # a flow that is returned has one
            except BlockingIOError:
                continue
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
