"""A relay of several workers: one ng address, read here, and one process for each share of the calls (D14)."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from functools import partial

from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.alarm import Alarm
from daemonkit.workers import WorkerPool
from mediarelay.aio.command_endpoint import CommandEndpoint, command_ways
from mediarelay.aio.ng_socket import NgSocket
from mediarelay.config import RelayConfig
from mediarelay.ng.front import CommandFront

COMMANDS = "commands"
"""Name of the socket by which a worker gets its commands."""


class RelayFront:
    """The service that keeps a relay's workers running and distributes commands among them."""

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        config: RelayConfig,
        *,
        metrics: Address | None,
        registry: CollectorRegistry,
    ) -> None:
        self._core = CommandFront(workers)
        self._endpoint = NgSocket(config.ng_bind, config.ng_allow, self._on_datagram, registry)
        ways = command_ways(workers)
        self._ways = [CommandEndpoint(ours, config.ng_bind, partial(self._on_reply, number)) for number, (ours, _) in enumerate(ways)]
        theirs = [{COMMANDS: end} for _, end in ways]
        # A worker's successor resumes its ports and sessions; what it has in the kernel goes on.
        self._pool = WorkerPool(command, open_sockets=lambda: theirs, last_signal=signal.SIGKILL, metrics=metrics, registry=registry)
        self._alarm = Alarm(self._on_alarm)

    async def start(self) -> None:
        """Open the ng socket and start the workers; raises AddressUnavailable."""
        self._endpoint.open()
        for way in self._ways:
            way.open()
        await self._pool.start()

    def ready(self) -> bool:
        """Return whether every worker takes new calls."""
        return self._pool.ready()

    def drain(self) -> None:
        """Drain every worker: no new calls, those in progress go on."""
        self._pool.drain()

    def idle(self) -> bool:
        """Return whether every worker has ended."""
        return self._pool.idle()

    async def stop(self) -> None:
        """End the workers and close all sockets."""
        self._alarm.stop()
        await self._pool.stop()
        for way in self._ways:
            way.close()
        self._endpoint.close()

    def _on_datagram(self, data: bytes, address: Address) -> None:
        self._core.receive_datagram(data, address, time.monotonic())
        self._pump()

    def _on_reply(self, worker: int, data: bytes, address: Address) -> None:
        self._core.receive_reply(worker, data, address)
        self._pump()

    def _on_alarm(self, now: float) -> None:
        self._core.handle_timer(now)
        self._pump()

    def _pump(self) -> None:
        for worker, data, client in self._core.for_workers():
            self._ways[worker].send(data, client)
        for data, client in self._core.datagrams_to_send():
            self._endpoint.send(data, client)
        self._alarm.set_no_later(self._core.get_timer())
