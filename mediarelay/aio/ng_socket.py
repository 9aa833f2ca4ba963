"""The socket of the ng address, which hears only those who may command a relay."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from daemonkit.address import Address
from daemonkit.udp import UdpEndpoint
from mediarelay.ng.sources import CommandSources

LOGGED_EVERY = 1_000

log = structlog.get_logger(__name__)


class NgSocket(UdpEndpoint):
    """A UDP endpoint that drops, and counts, what comes from elsewhere; an answer would tell a stranger that a relay is here."""

    def __init__(
        self, address: Address, allowed: tuple[str, ...], on_datagram: Callable[[bytes, Address], None], registry: CollectorRegistry
    ) -> None:
        super().__init__(address, self._filter)
        self._sources = CommandSources(address[0], allowed)
        self._on_command = on_datagram
        registry.register(_Refused(self._sources))

    def _filter(self, data: bytes, address: Address) -> None:
        if self._sources.admits(address[0]):
            self._on_command(data, address)
        elif self._sources.refused % LOGGED_EVERY == 1:
            log.warning("command_refused", source=address[0], refused=self._sources.refused, reason="SIPURI_NG_ALLOW does not name it")


class _Refused(Collector):
    def __init__(self, sources: CommandSources) -> None:
        self._sources = sources

    def collect(self) -> list[Metric]:
        """Return the count."""
        return [CounterMetricFamily("sipuri_relay_refused_commands", "Datagrams from where no command may come", self._sources.refused)]
