"""The DNS server as one service: its zone follows the pool of live proxies."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from django.db import DatabaseError
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.rounds import Rounds
from sipproxy.aio.dns_server import DnsServer
from sipproxy.aio.dns_zone import Place
from sipproxy.dns_config import DnsConfig
from voiceapps.daemon.database import DatabaseBusyError
from voiceapps.daemon.node_reporter import NodeReporter, NodeState
from voiceapps.selectors import NodeView, is_to_drain, node_pool
from voiceapps.services.reports import ledger

REFRESH_SECONDS = 1.0
"""Half of the time in which a proxy that drains has to be out of the answers."""

log = structlog.get_logger(__name__)


class PooledDns:
    """The service of `runsipdns`."""

    def __init__(self, config: DnsConfig, *, registry: CollectorRegistry, metrics: Address | None) -> None:
        self._reporter = NodeReporter(
            "sipdns",
            config.name,
            self._describe,
            is_to_drain=is_to_drain,
            ledger=ledger(),
            metrics=metrics,
            registry=registry,
        )
        self._server = DnsServer(config, registry=registry)
        self._known = False
        self._rounds = Rounds("pool", self._refresh, lambda: REFRESH_SECONDS)

    async def start(self) -> None:
        """Listen and begin to follow the pool; raises AddressUnavailable."""
        await self._server.start()
        await self._reporter.start()
        self._rounds.start()

    def ready(self) -> bool:
        """Return whether the pool has been read at least once."""
        return self._known and not self._reporter.draining and self._reporter.is_healthy()

    def drain(self) -> None:
        """Write the state `draining` to the node row; queries are answered to the end."""
        self._reporter.drain()

    def idle(self) -> bool:
        """Return True: a query is answered as it comes, so none is ever in progress."""
        return True

    async def stop(self) -> None:
        """Stop answering and write the state `down`."""
        self._rounds.stop()
        await self._server.stop()
        await self._reporter.stop()

    async def _refresh(self) -> None:
        try:
            self._server.publish(list(_places(await self._reporter.database.read(node_pool, "sipproxy"))))
            self._known = True
        except (DatabaseError, DatabaseBusyError) as error:
            # The last known pool stays in the zone.
            log.warning("pool_unknown", error=str(error))

    def _describe(self) -> NodeState:
        return NodeState(load=0, public=self._server.address)


def _places(nodes: Iterable[NodeView]) -> Iterable[Place]:
    """Yield each transport of each node that takes new calls; the workers of one node share one place."""
    for node in nodes:
        host = node.public_address.rpartition(":")[0]
        if node.state == "up" and host:
            yield from ((transport, host, port) for transport, port in node.transports)
