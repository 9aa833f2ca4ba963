"""Responses that reached the wrong worker, handed over to the right one.

The kernel gives each source port to one worker. A peer that answers from another port than it calls from, as gateways do, reaches
a worker that sent no request. The branch names the worker that did, and the datagram goes there through a socket between the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Mapping, Sequence

from daemonkit.udp import DATAGRAM_BYTES, DATAGRAMS_PER_WAKE
from sipproxy.transactions.branches import worker_of
from sipproxy.transactions.listener import Listener

HANDOVER = "handover"
"""The name of a worker's own socket; with a number, the name of the socket to that worker."""
_BRANCH = re.compile(rb"(?i)^SIP/2\.0 .*?\n(?:via|v)[ \t]*:[^,\n]*?;[ \t]*branch=([0-9A-Za-z]+)", re.DOTALL)


class Handover:
    """A worker's sockets to the others; a proxy of one worker has none."""

    def __init__(self, worker: int, listeners: Sequence[Listener], on_datagram: Callable[[Listener, bytes], None]) -> None:
        self.handed_over = 0
        self._worker = worker
        self._listeners = listeners
        self._on_datagram = on_datagram
        self._own: socket.socket | None = None
        self._others: dict[int, socket.socket] = {}

    def start(self, sockets: Mapping[str, socket.socket]) -> None:
        """Take the sockets that the supervisor has opened for this."""
        self._own = sockets.get(HANDOVER)
        prefix = f"{HANDOVER}-"
        self._others = {int(name.removeprefix(prefix)): sock for name, sock in sockets.items() if name.startswith(prefix)}
        if self._own is not None:
            asyncio.get_running_loop().add_reader(self._own, self._drain)

    def stop(self) -> None:
        """Close the sockets."""
        if self._own is not None:
            asyncio.get_running_loop().remove_reader(self._own)
            self._own.close()
        for sock in self._others.values():
            sock.close()

    def take(self, listener: Listener, data: bytes) -> bool:
        """Hand a response of another worker over. Returns whether it was one. A full socket loses it, as UDP may."""
        if not self._others or not data.startswith(b"SIP/2.0 "):
            return False
        found = _BRANCH.match(data)
        number = worker_of(found[1].decode("ascii")) if found else None
        if number is None or number not in self._others:
            return False
        self.handed_over += 1
        with contextlib.suppress(OSError):
            self._others[number].send(bytes((self._listeners.index(listener),)) + data)
        return True

    def _drain(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            if self._own is None:
                return
            try:
                data = self._own.recv(DATAGRAM_BYTES + 1)
            except BlockingIOError:
                return
            if data and data[0] < len(self._listeners):
                self._on_datagram(self._listeners[data[0]], data[1:])
