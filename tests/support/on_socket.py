"""A user agent of ours on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemonkit.address import Address
from daemonkit.udp import UdpEndpoint
from tests.support.ua import Agent

SECONDS = 15.0


class OnSocket:
    """Run an agent on a real socket and the real clock."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.endpoint = UdpEndpoint(agent.local, self._on_datagram)
        self.changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def open(self) -> None:
        self.endpoint.open()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        self.endpoint.close()

    def pump(self) -> None:
        for _, data, target in self.agent.take():
            self.endpoint.send(data, target)
        if self._timer:
            self._timer.cancel()
        when = self.agent.timer()
        self._timer = asyncio.get_running_loop().call_at(when, self._on_timer) if when is not None else None
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that a datagram or a timer brings about."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def _on_datagram(self, data: bytes, source: Address) -> None:
        self.agent.receive(data, source, self.agent.local, self.now)
        self.pump()

    def _on_timer(self) -> None:
        self.agent.ring(self.now)
        self.pump()
