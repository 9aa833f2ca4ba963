"""Run a relay's core on an event loop: feed, pump, re-arm one timer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from daemonkit.sockets import Address
from daemonkit.udp import UdpEndpoint
from mediarelay.aio.metrics import RelayMetrics
from mediarelay.aio.sockets import MediaSockets
from mediarelay.core.addresses import Side
from mediarelay.core.config import RelayConfig
from mediarelay.core.events import LegFigures, PairReleased, PairWanted, SessionEnded
from mediarelay.core.relay import MediaRelay

__all__ = ["RelayServer"]


class RelayServer:
    """A relay with its ng socket and its media ports; `on_ended` hears of every session that is gone."""

    def __init__(self, config: RelayConfig, *, registry: CollectorRegistry, on_ended: Callable[[SessionEnded], None]) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._draining = False
        self._hosts = {Side.EXTERNAL: config.external.local, Side.INTERNAL: config.internal.local}
        self._on_ended = on_ended
        self._relay = MediaRelay(config, choose=secrets.randbelow)
        self._sockets = MediaSockets(self._relay, self._clock)
        self._endpoint = UdpEndpoint(config.ng_bind, self._on_datagram)
        self._metrics = RelayMetrics(self._relay, self._sockets, registry)

    @property
    def ng_address(self) -> Address:
        """Where commands arrive; the real port once started."""
        return self._endpoint.local

    @property
    def session_count(self) -> int:
        """Sessions that are relayed now."""
        return len(self._relay.sessions)

    def figures(self) -> dict[str, tuple[LegFigures, ...]]:
        """Return what each live session's sides have seen so far."""
        return self._relay.figures()

    def start(self) -> None:
        """Open the ng socket; raises AddressUnavailable."""
        self._loop = asyncio.get_running_loop()
        self._endpoint.open()

    def ready(self) -> bool:
        """Tell whether offers for new calls are welcome."""
        return self._loop is not None and not self._draining

    def drain(self) -> None:
        """Refuse offers for new calls from now on."""
        self._draining = True
        self._relay.drain()

    def idle(self) -> bool:
        """Tell whether no session is left."""
        return self._relay.idle()

    def stop(self) -> None:
        """Close all sockets."""
        if self._timer is not None:
            self._timer.cancel()
        self._endpoint.close()
        self._sockets.close()

    def _clock(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    def _on_datagram(self, data: bytes, address: Address) -> None:
        self._relay.receive_datagram(data, address, self._clock())
        self._pump()

    def _on_timer(self, due: float) -> None:
        self._due = None
        # The loop may call a little early; the core must not see time before its own deadline.
        self._relay.handle_timer(max(due, self._clock()))
        self._pump()

    def _pump(self) -> None:
        while (event := self._relay.next_event()) is not None:
            if isinstance(event, PairWanted):
                self._bind(event)
            elif isinstance(event, PairReleased):
                self._sockets.close_pair(self._hosts[event.side], event.port)
            elif isinstance(event, SessionEnded):
                self._metrics.count_ended(event)
                self._on_ended(event)
        for data, address in self._relay.datagrams_to_send():
            self._endpoint.send(data, address)
        self._rearm()

    def _bind(self, wanted: PairWanted) -> None:
        bound = self._sockets.open_pair(self._hosts[wanted.side], wanted.port)
        report = self._relay.port_bound if bound else self._relay.port_failed
        report(wanted.side, wanted.port, self._clock())

    def _rearm(self) -> None:
        due = self._relay.get_timer()
        if due is None or self._loop is None or (self._due is not None and self._due <= due):
            # A call that comes early is cheaper than a new one for each command.
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._on_timer, due)
