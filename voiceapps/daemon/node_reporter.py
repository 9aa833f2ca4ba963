"""What every daemon tells the database: its records, and its node row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.daemon.heartbeat import Heartbeat
from voiceapps.daemon.report_writer import ReportWriter, WriteReports
from voiceapps.rules.reports import NodeBeat, Report, Role


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a daemon says of itself with each beat."""

    draining: bool
    """Whether it refuses new work."""
    load: int
    """How much work it has: calls, sessions."""
    public: Address | None = None
    """Where callers reach it."""
    internal: Address | None = None
    """Where the other daemons reach it."""
    transports: str = ""
    """What a proxy speaks outside: `udp:6160,tcp:6160`."""


class NodeReporter:
    """The database thread, the record writer and the heartbeat of one daemon, started and stopped together.

    `describe` returns the daemon's state; None says that nobody should know of the process yet.
    """

    def __init__(
        self,
        role: Role,
        name: str,
        describe: Callable[[], NodeState | None],
        *,
        write_reports: WriteReports,
        metrics: Address | None,
        registry: CollectorRegistry,
    ) -> None:
        self.database = DatabaseExecutor(registry=registry)
        self._role: Role = role
        self._name = name
        self._describe = describe
        self._metrics_address = _text(metrics)
        self._writer = ReportWriter(self.database, write_reports, registry=registry)
        self._heartbeat = Heartbeat(self._writer, self._beat)
        self.put: Callable[[Report], None] = self._writer.put
        """Queues a record; never waits and never raises."""

    async def start(self) -> None:
        """Start writing and beating; the daemon's sockets must be open."""
        await self._writer.start()
        self._heartbeat.start()

    def beat(self) -> None:
        """Beat now: something changed."""
        self._heartbeat.beat()

    async def stop(self) -> None:
        """Say that the node is down, write what is queued and close the database connection; the daemon must have stopped."""
        await self._heartbeat.stop()
        await self._writer.close()
        await self.database.close()

    def _beat(self) -> NodeBeat | None:
        state = self._describe()
        if state is None:
            return None
        return NodeBeat(
            role=self._role,
            name=self._name,
            at=time.time(),
            state="draining" if state.draining else "up",
            public_address=_text(state.public),
            internal_address=_text(state.internal),
            load=state.load,
            metrics_address=self._metrics_address,
            transports=state.transports,
        )


def _text(address: Address | None) -> str:
    return f"{address[0]}:{address[1]}" if address is not None else ""
