"""A relay's core on an event loop: feed it, pump its events, re-arm one timer."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.alarm import Alarm
from daemonkit.errors import CannotStart
from mediarelay.aio.command_endpoint import CommandEndpoint
from mediarelay.aio.journal import JournalFile
from mediarelay.aio.kernel_plane import KernelPlane
from mediarelay.aio.metrics import RelayMetrics
from mediarelay.aio.ng_socket import NgSocket
from mediarelay.aio.scheduling import Priority, shorten_switch_interval
from mediarelay.aio.sockets import MediaSockets
from mediarelay.config import RelayConfig
from mediarelay.core.addresses import Side
from mediarelay.core.events import Event, OneWayAudio, PairReleased, PairWanted, SessionChanged, SessionEnded
from mediarelay.core.journal import JournalEntry
from mediarelay.kernel.events import KernelEvent
from mediarelay.kernel.flow import KernelFlow
from mediarelay.relay import MediaRelay
from voiceapps.rules.media_figures import MediaFigures

log = structlog.get_logger(__name__)


class RelayServer:
    """A relay with its ng socket and its media ports; `on_ended` and `on_one_way` get the core's events about sessions.

    A worker gets its commands from the front through the socket `commands`; a relay without workers reads its ng address.
    """

    def __init__(
        self,
        config: RelayConfig,
        *,
        registry: CollectorRegistry,
        on_ended: Callable[[SessionEnded], None],
        on_one_way: Callable[[OneWayAudio], None],
        commands: socket.socket | None = None,
    ) -> None:
        self._alarm = Alarm(self._on_alarm)
        self._clock = time.monotonic
        self._started = False
        self._draining = False
        self._priority = Priority(wanted=config.realtime)
        self._hosts = {Side.EXTERNAL: config.external.local, Side.INTERNAL: config.internal.local}
        self._on_ended = on_ended
        self._on_one_way = on_one_way
        self._relay = MediaRelay(config, choose=secrets.randbelow, epoch=time.time() - self._clock())
        self._sockets = MediaSockets(self._relay, self._clock, self._pump, dscp=config.dscp)
        self._plane = KernelPlane(config, self._relay.offload, self._clock, self._pump)
        self._journal = JournalFile(Path(config.journal), self._plane.fingerprint) if config.journal else None
        self._endpoint = (
            CommandEndpoint(commands, config.ng_bind, self._on_datagram)
            if commands
            else NgSocket(config.ng_bind, config.ng_allow, self._on_datagram, registry)
        )
        self._metrics = RelayMetrics(self._relay, self._sockets, registry)

    @property
    def ng_address(self) -> Address:
        """Where commands arrive; the real port once started."""
        return self._endpoint.local

    @property
    def session_count(self) -> int:
        """The number of sessions."""
        return len(self._relay.table)

    @property
    def ports(self) -> tuple[int, int]:
        """How many pairs of media ports are in use, and of how many, on the side that is fuller."""
        return self._relay.table.allocator.use()

    def calls(self) -> list[str]:
        """Return the ids of all live sessions."""
        return [session.call_id for session in self._relay.table]

    def figures(self, call_ids: Iterable[str]) -> dict[str, tuple[MediaFigures, ...]]:
        """Return the figures of both sides of live sessions so far."""
        return self._relay.figures(call_ids)

    async def start(self) -> None:
        """Resume what a killed process has left and open the ng socket; raises CannotStart."""
        self._started = True
        shorten_switch_interval()
        entries, same_rules = self._journal.load() if self._journal else ([], False)
        self._resume(entries)
        await self._plane.start(keep=same_rules and bool(entries))
        self._adopt(entries)
        if self._journal:
            self._journal.open()
        try:
            self._endpoint.open()
        except CannotStart:
            await self._plane.stop()
            raise
        self._pump()

    def ready(self) -> bool:
        """Return whether the relay accepts offers for new calls."""
        return self._started and not self._draining

    def drain(self) -> None:
        """Refuse offers for new calls from now on."""
        self._draining = True
        self._relay.drain()

    def resume(self) -> None:
        """Accept offers for new calls again."""
        self._draining = False
        self._relay.resume()

    def idle(self) -> bool:
        """Return whether no session is left."""
        return self._relay.idle()

    async def stop(self) -> None:
        """Close all sockets; remove the kernel's rules and the journal."""
        self._alarm.stop()
        self._endpoint.close()
        await self._plane.stop()
        self._sockets.close()
        if self._journal:
            self._journal.close()

    def _resume(self, entries: list[JournalEntry]) -> None:
        now = self._clock()
        for entry in entries:
            try:
                pairs = self._relay.restore(entry, now)
            except ValueError as error:
                log.error("session_not_resumed", error=str(error))
                continue
            if not all(self._sockets.open_pair(self._hosts[side], port) for side, port in pairs):
                self._relay.give_up(entry["call"], now)
        if entries:
            log.info("sessions_resumed", sessions=len(self._relay.table))

    def _adopt(self, entries: list[JournalEntry]) -> None:
        """Keep the kernel's flows that belong to a session, remove the others."""
        carried = self._plane.flows()

        def is_carried(flows: tuple[KernelFlow, ...]) -> bool:
            return all(carried.get(flow.mark) == flow for flow in flows)

        for entry in entries:
            try:
                self._relay.adopt(entry, is_carried, self._clock())
            except ValueError as error:
                log.error("flows_not_adopted", error=str(error))
        self._plane.keep(carried, self._relay.offload.marks())

    def _on_datagram(self, data: bytes, address: Address) -> None:
        self._relay.receive_datagram(data, address, self._clock())
        self._pump()

    def _on_alarm(self, now: float) -> None:
        self._relay.handle_timer(now)
        self._pump()

    def _pump(self) -> None:
        while (event := self._relay.next_event()) is not None:
            self._handle(event)
        for data, address in self._relay.datagrams_to_send():
            self._endpoint.send(data, address)
        self._priority.follow(carries_packets=not self._relay.offload.on)
        self._alarm.set_no_later(self._relay.get_timer())

    def _handle(self, event: Event) -> None:
        if isinstance(event, PairWanted):
            self._bind(event)
        elif isinstance(event, PairReleased):
            self._sockets.close_pair(self._hosts[event.side], event.port)
        elif isinstance(event, SessionChanged):
            if self._journal:
                self._journal.put(event.call_id, self._relay.entry_of(event.call_id))
        elif isinstance(event, SessionEnded):
            self._metrics.count_ended(event)
            self._on_ended(event)
        elif isinstance(event, OneWayAudio):
            self._on_one_way(event)
        elif isinstance(event, KernelEvent):
            self._plane.handle(event)

    def _bind(self, wanted: PairWanted) -> None:
        bound = self._sockets.open_pair(self._hosts[wanted.side], wanted.port)
        report = self._relay.port_bound if bound else self._relay.port_failed
        report(wanted.side, wanted.port, self._clock())
