"""Two queues in front of the core: datagrams are read from the socket at once and handled as fast as we can, known callers first.

The socket's own queue is one for all. In a flood it is full, every call waits for seconds behind it, and the kernel drops datagrams
blindly, so no source can be seen to send too much. Here reading is cheap and goes on while there is work. Strangers share a short
queue; a source that finds it full is counted. Callers that had a call admitted a short while ago have their own queue, served first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from daemonkit.address import Address
from sipproxy.aio.limits import MAX_WAITING_KNOWN, MAX_WAITING_STRANGERS
from sipproxy.transactions.listener import Listener

# Between two turns the socket is read: sixteen datagrams for each one that is handled.
PER_TURN = 4

Waiting = tuple[Listener, bytes, Address, int]
"""A datagram with its listener, its source, and the revision of the gate that let it pass."""
Handle = Callable[[Listener, bytes, Address, int], None]


class Intake:
    """Two bounded queues in front of `handle`; `is_known` chooses the queue of a source, `on_full` gets the sources that found it full."""

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
        """Queue one datagram that the gate let pass at this revision."""
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
