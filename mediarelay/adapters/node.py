"""A relay that reports to the database: a heartbeat with its load, and each session's media figures (D19)."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.rounds import Rounds
from mediarelay.aio.server import RelayServer
from mediarelay.config import RelayConfig
from mediarelay.core.addresses import Side
from mediarelay.core.events import OneWayAudio, SessionEnded
from voiceapps.daemon.node_reporter import NodeReporter, NodeState
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import MediaNotice, MediaReport
from voiceapps.selectors import is_to_drain
from voiceapps.services.reports import ledger

REPORT_SECONDS = 10.0
"""The shortest time between two reports of one call; a relay with very many calls takes longer to get round to each."""
REPORT_SHARES = 20
MAX_SHARE = 50
"""Calls reported in one go; thousands would keep packets waiting."""
_NAMES = {Side.EXTERNAL: "caller", Side.INTERNAL: "call flow"}


class ReportingRelay:
    """The service of `runmediarelay`."""

    def __init__(
        self, config: RelayConfig, *, registry: CollectorRegistry, metrics: Address | None, commands: socket.socket | None = None
    ) -> None:
        self._config = config
        self._reporter = NodeReporter(
            "mediarelay",
            config.name,
            self._describe,
            is_to_drain=is_to_drain,
            ledger=ledger(),
            metrics=metrics,
            registry=registry,
        )
        self._server = RelayServer(config, registry=registry, on_ended=self._on_ended, on_one_way=self._on_one_way, commands=commands)
        self._shares: deque[Sequence[str]] = deque()
        self._rounds = Rounds("media_figures", self._report_share, lambda: REPORT_SECONDS / REPORT_SHARES)

    async def start(self) -> None:
        """Open the sockets and start reporting; raises AddressUnavailable."""
        await self._server.start()
        await self._reporter.start(self._server)
        self._rounds.start()

    def ready(self) -> bool:
        """Return whether the relay accepts offers for new calls."""
        return self._server.ready() and self._reporter.is_healthy()

    def drain(self) -> None:
        """Refuse offers for new calls and send a heartbeat that says so at once."""
        self._reporter.drain()

    def idle(self) -> bool:
        """Return whether no session is left."""
        return self._server.idle()

    async def stop(self) -> None:
        """Report that the relay ends, write what is queued and close the sockets."""
        self._rounds.stop()
        for call_id, figures in self._server.figures(self._server.calls()).items():
            self._report(call_id, figures, final=True)
        try:
            await self._server.stop()
        finally:
            await self._reporter.stop()

    def _report_share(self) -> None:
        if not self._shares:
            self._shares.extend(_shares(self._server.calls()))
        for call_id, figures in self._server.figures(self._shares.popleft()).items():
            self._report(call_id, figures, final=False)

    def _describe(self) -> NodeState:
        external = self._config.external.advertised, self._config.external_ports[0]
        return NodeState(load=self._server.session_count, public=external, internal=self._server.ng_address, ports=self._server.ports)

    def _on_ended(self, event: SessionEnded) -> None:
        self._report(event.call_id, event.figures, final=True)

    def _on_one_way(self, event: OneWayAudio) -> None:
        what = "audio" if not event.stream else f"media of section {event.stream + 1}"
        who = _NAMES[event.side]
        text = f"No {what} comes from the {who}. {event.cause}" if event.silent else f"{what.capitalize()} comes from the {who} again."
        self._reporter.put(
            MediaNotice(
                call_id=event.call_id,
                at=time.time(),
                leg=event.side.value,
                source=event.source,
                destination=event.local,
                text=text,
            )
        )

    def _report(self, call_id: str, figures: Sequence[MediaFigures], *, final: bool) -> None:
        for side in figures:
            self._reporter.put(MediaReport(call_id, self._config.name, time.time(), side, final))


def _shares(calls: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield what to report in each of the rounds that get round to all calls; where there are few, some rounds have none."""
    share = min(1 + len(calls) // REPORT_SHARES, MAX_SHARE)
    for first in range(0, max(REPORT_SHARES * share, len(calls)), share):
        yield calls[first : first + share]
