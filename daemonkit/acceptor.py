"""Connections as they are accepted: plain sockets, of which their taker may let go before anything more is spent on them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog

from daemonkit.address import Address

ACCEPTED_PER_WAKE = 64
PAUSE_SECONDS = 1.0
"""After the system had no descriptor or no memory for one more connection: the listening socket stays readable."""

log = structlog.get_logger(__name__)


class Acceptor:
    """A listening socket; each connection and the address of its far end go to a callable."""

    def __init__(self, on_accepted: Callable[[socket.socket, Address], None]) -> None:
        self._on_accepted = on_accepted
        self._socket: socket.socket | None = None
        self._resuming: asyncio.TimerHandle | None = None

    def start(self, sock: socket.socket) -> None:
        """Accept what arrives at a listening socket."""
        sock.setblocking(False)
        self._socket = sock
        self._resume()

    def stop(self) -> None:
        """Close the listening socket."""
        if self._resuming is not None:
            self._resuming.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _resume(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_PER_WAKE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("connection_not_accepted", error=str(error))
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening)
                self._resuming = loop.call_later(PAUSE_SECONDS, self._resume)
                return
            self._on_accepted(accepted, address)
