"""Copies of messages for a HEP collector; calls do not depend on whether it receives them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

import structlog
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from daemonkit.address import Address
from daemonkit.udp import UdpEndpoint
from sipproxy.aio.hep_packet import encode
from sipproxy.config import HepConfig
from sipproxy.core.events import MessageSeen

RESOLVE_SECONDS = 3.0

log = structlog.get_logger(__name__)


class HepExporter(Collector):
    """The sender of copies; what cannot be sent is counted and dropped. Registers itself as a collector of metrics."""

    def __init__(self, config: HepConfig, registry: CollectorRegistry) -> None:
        self._config = config
        self._collector: Address | None = None
        self._unresolved = 0
        self._endpoint = UdpEndpoint(("0.0.0.0", 0), self._ignore)
        self._sent = Counter("sipuri_hep_messages", "Messages handed to the HEP collector's address", registry=registry)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return how many copies could not be sent."""
        errors = self._endpoint.errors + self._unresolved
        return [CounterMetricFamily("sipuri_hep_errors", "Messages that could not be sent to the HEP collector", errors)]

    async def start(self) -> None:
        """Resolve the collector's name once and open a socket; if that fails, nothing is sent until the next start."""
        self._endpoint.open()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await loop.getaddrinfo(self._config.host, self._config.port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        except (OSError, TimeoutError) as error:
            log.error("hep_collector_unknown", host=self._config.host, error=str(error))
            return
        self._collector = str(found[0][4][0]), self._config.port

    def stop(self) -> None:
        """Close the socket."""
        self._endpoint.close()

    def send(self, message: MessageSeen) -> None:
        """Send a copy; never waits and never raises."""
        if self._collector is None:
            self._unresolved += 1
            return
        self._endpoint.send(encode(message, agent_id=self._config.agent_id, key=self._config.key), self._collector)
        self._sent.inc()

    def _ignore(self, data: bytes, address: Address) -> None:
        """Drop what comes back: a collector sends no answers."""
