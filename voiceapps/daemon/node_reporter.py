"""What every daemon tells the database, its records and its node row, and what it is told there: to drain, or to take work again.

A writer that has died, or that has waited for the database for very long, cannot be mended from within: the process says that it
is not ready, and ends. Its journal tells the rest to its next boot.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.daemon.draining import Draining
from voiceapps.daemon.heartbeat import Heartbeat
from voiceapps.daemon.ledger import Ledger
from voiceapps.daemon.report_writer import ReportWriter
from voiceapps.rules.reports import NodeBeat, Report, Role

STUCK_SECONDS = 30.0
"""A write that takes longer makes the node unready."""
DEAD_SECONDS = 120.0
"""A write that takes longer ends the process: the server's own time-outs are far shorter."""
WATCH_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a daemon says of itself with each beat."""

    load: int
    """How much work it has: calls, sessions."""
    public: Address | None = None
    """Where callers reach it."""
    internal: Address | None = None
    """Where the other daemons reach it."""
    transports: str = ""
    """What a proxy speaks outside: `udp:6160,tcp:6160`."""
    ports: tuple[int, int] = (0, 0)
    """Pairs of media ports of a relay: in use, and all of them."""


class Work(Protocol):
    """What a daemon does for calls."""

    def drain(self) -> None:
        """Refuse new calls."""

    def resume(self) -> None:
        """Take new calls again."""


class NodeReporter:
    """The database thread, the record writer, the heartbeat and the obedience of one daemon, started and stopped together.

    `describe` returns the daemon's state; None says that nobody should know of the process yet. `is_to_drain` tells
    whether an operator wants the node to drain.
    """

    def __init__(
        self,
        role: Role,
        name: str,
        describe: Callable[[], NodeState | None],
        *,
        is_to_drain: Callable[[str], bool],
        ledger: Ledger,
        metrics: Address | None,
        registry: CollectorRegistry,
    ) -> None:
        self.database = DatabaseExecutor(registry=registry)
        self._role: Role = role
        self._name = name
        self._describe = describe
        self._metrics_address = _text(metrics)
        self._writer = ReportWriter(self.database, ledger, name, registry=registry)
        self._heartbeat = Heartbeat(self._writer, self._beat)
        self._draining = Draining(self.database, name, is_to_drain, self._on_draining)
        self._work: Work | None = None
        self._watch: asyncio.Task[None] | None = None
        self._end_process: Callable[[], None] = _end_process
        self.put: Callable[[Report], None] = self._writer.put
        """Queues a record; never waits and never raises."""

    async def start(self, work: Work | None = None) -> None:
        """Start writing, beating, and having `work` drain and resume; the daemon's sockets must be open."""
        self._work = work
        self._draining.start()
        await self._writer.start()
        self._heartbeat.start()
        self._watch = asyncio.create_task(self._watch_forever())

    def is_healthy(self) -> bool:
        """Return whether records are being written, or wait for a database that says when it will not take them."""
        return self._writer.is_running and self._write_seconds() < STUCK_SECONDS

    @property
    def draining(self) -> bool:
        """Whether the daemon is to refuse new work."""
        return self._draining.on

    def drain(self) -> None:
        """Have the daemon refuse new work for good, and write that at once: its process is to end."""
        self._draining.end()

    async def stop(self) -> None:
        """Say that the node is down, write what is queued and close the database connection; the daemon must have stopped."""
        self._draining.stop()
        if self._watch is not None:
            self._watch.cancel()
        self._heartbeat.stop()
        await self._writer.close()
        await self.database.close()

    async def _watch_forever(self) -> None:
        while self._writer.is_running and self._write_seconds() < DEAD_SECONDS:
            await asyncio.sleep(WATCH_SECONDS)
        log.critical("record_writer_lost", running=self._writer.is_running, seconds=round(self._write_seconds()))
        # Neither the writer nor a thread that waits for ever can be ended in any other way.
        self._end_process()

    def _write_seconds(self) -> float:
        """Return how long the write that is going on has taken so far."""
        began = self._writer.began_at
        return 0.0 if began is None else time.monotonic() - began

    def _on_draining(self, draining: bool) -> None:
        if self._work is not None and draining:
            self._work.drain()
        elif self._work is not None:
            self._work.resume()
        self._heartbeat.beat()

    def _beat(self) -> NodeBeat | None:
        state = self._describe()
        if state is None:
            return None
        return NodeBeat(
            role=self._role,
            name=self._name,
            at=time.time(),
            state="draining" if self._draining.on else "up",
            public_address=_text(state.public),
            internal_address=_text(state.internal),
            load=state.load,
            metrics_address=self._metrics_address,
            transports=state.transports,
            boot=self._writer.boot,
            ports_used=state.ports[0],
            ports_total=state.ports[1],
        )


def _end_process() -> None:
    """End without waiting for any thread; only the log gets a moment to say why."""
    logging.shutdown()
    os._exit(1)


def _text(address: Address | None) -> str:
    return f"{address[0]}:{address[1]}" if address is not None else ""
