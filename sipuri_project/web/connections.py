"""All HTTP connections of a worker: how many there may be, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from sipuri_project.web.limits import LINGER_SECONDS
from sipuri_project.web.replies import Reply
from sipuri_project.web.requests import WholeRequest

Answerer = Callable[[WholeRequest, Any, Any], Awaitable[Reply]]
"""Answers a request, given the addresses of the client and of us."""


class Peer(Protocol):
    """What the set of connections asks of each."""

    @property
    def is_serving(self) -> bool:
        """Whether a request of it is being answered."""
        ...

    def close_if_idle(self) -> None:
        """Close if no request has been begun."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Connections:
    """At most `most` connections: a new one then takes the place of the one that has waited longest for its client."""

    def __init__(self, answer: Answerer, *, most: int, max_body: int, keep_seconds: float) -> None:
        self.answer = answer
        self.max_body = max_body
        self.keep_seconds = keep_seconds
        self.is_stopping = False
        self._most = most
        self._all: set[Peer] = set()
        self._waiting: OrderedDict[Peer, None] = OrderedDict()
        """Those that wait for their client, by when it last did something that counts."""
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, peer: Peer) -> None:
        """Take a new connection, in another's place if there are too many."""
        self._all.add(peer)
        self.await_client(peer)
        if len(self._all) > self._most:
            oldest = next(iter(self._waiting))
            self.forget(oldest)
            oldest.abort()

    def await_client(self, peer: Peer) -> None:
        """Note that it is the client's turn as of now."""
        if peer in self._all:
            self._waiting[peer] = None
            self._waiting.move_to_end(peer)

    def await_answer(self, peer: Peer) -> None:
        """Note that it is our turn: such a connection is never closed for another."""
        self._waiting.pop(peer, None)

    def forget(self, peer: Peer) -> None:
        """Forget a connection that is closed."""
        self._all.discard(peer)
        self._waiting.pop(peer, None)
        if not self._all:
            self._emptied.set()

    async def stop(self, seconds: float) -> None:
        """End after the answers that are under way, at the latest after so many seconds; half a request has `LINGER_SECONDS`."""
        self.is_stopping = True
        for peer in tuple(self._all):
            peer.close_if_idle()
        await self._wait_until_empty(min(LINGER_SECONDS, seconds))
        for peer in tuple(self._all):
            if not peer.is_serving:
                peer.abort()
        await self._wait_until_empty(max(seconds - LINGER_SECONDS, 0))
        for peer in tuple(self._all):
            peer.abort()

    async def _wait_until_empty(self, seconds: float) -> None:
        if self._all:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)
