"""Take datagrams of strangers from their socket at once, and handle them as fast as we can, those of known callers first.

A socket's own queue is one line for all: in a flood it is full of it, everybody waits behind seconds of it, and what is dropped is dropped
blindly, so that no source ever seems to send too much. Here reading is cheap and goes on while there is work; strangers share a short line,
who finds it full is counted, and callers who got in a short while ago have a line of their own that is served first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from daemonkit.address import Address
from sipproxy.aio.limits import MAX_WAITING_KNOWN, MAX_WAITING_STRANGERS
from sipproxy.transactions.listener import Listener

# Between two turns the socket is read: some sixteen datagrams for each that is handled.
PER_TURN = 4

Waiting = tuple[Listener, bytes, Address, int]
"""A datagram with its listener, its source, and the revision of the gate that let it pass."""
Handle = Callable[[Listener, bytes, Address, int], None]


class Intake:
    """Two bounded lines in front of `handle`; `is_known` tells which one a source stands in, `on_full` who found no place."""

    def __init__(self, *, handle: Handle, is_known: Callable[[str], bool], on_full: Callable[[str], None]) -> None:
        self._handle = handle
        self._is_known = is_known
        self._on_full = on_full
        self._known: deque[Waiting] = deque()
        self._strangers: deque[Waiting] = deque()
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._known) + len(self._strangers)

    def put(self, listener: Listener, data: bytes, address: Address, passed_at: int) -> None:
        """Take one datagram that the gate let pass at this revision."""
        known = self._is_known(address[0])
        line, most = (self._known, MAX_WAITING_KNOWN) if known else (self._strangers, MAX_WAITING_STRANGERS)
        if len(line) >= most:
            self._on_full(address[0])
            return
        line.append((listener, data, address, passed_at))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        for _ in range(PER_TURN):
            line = self._known or self._strangers
            if not line:
                return
            self._handle(*line.popleft())
        if self:
            self._schedule()
