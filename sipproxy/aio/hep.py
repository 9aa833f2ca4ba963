"""Send copies of messages to a collector; it may be slow, deaf or gone, and no call notices."""

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
    """The way of copies to the collector; what could not be sent is counted and gone."""

    def __init__(self, config: HepConfig, registry: CollectorRegistry) -> None:
        self._config = config
        self._collector: Address | None = None
        self._unresolved = 0
        self._endpoint = UdpEndpoint(("0.0.0.0", 0), self._ignore)
        self._sent = Counter("sipuri_hep_messages", "Messages handed to the HEP collector's address", registry=registry)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return what Prometheus reads beside the count of messages."""
        errors = self._endpoint.errors + self._unresolved
        return [CounterMetricFamily("sipuri_hep_errors", "Messages that could not be sent to the HEP collector", errors)]

    async def start(self) -> None:
        """Look the collector's name up once and open a socket; without an answer nothing is sent until the next start."""
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
        """Drop what comes back: a collector answers nothing."""
