"""Run the call flow of one node: calls, their records, and a heartbeat."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from callflow.adapters.applications import ApplicationReader
from callflow.adapters.order_bell import OrderBell, Rings
from callflow.adapters.orders import OrderReader
from callflow.aio.server import CallflowServer
from callflow.config import CallflowConfig
from daemonkit.address import Address
from voiceapps.daemon.node_reporter import NodeReporter, NodeState
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.selectors import is_to_drain
from voiceapps.services.reports import ledger


class CallflowNode:
    """The service of `runcallflow`; `listen` connects to the bell that tells of the API's orders."""

    def __init__(
        self,
        config: CallflowConfig,
        *,
        metrics: Address | None,
        listen: Callable[[], Rings] | None,
        new_client: Callable[[], WebhookClient],
        registry: CollectorRegistry,
    ) -> None:
        self._reporter = NodeReporter(
            "callflow",
            config.name,
            self._describe,
            is_to_drain=is_to_drain,
            ledger=ledger(),
            metrics=metrics,
            registry=registry,
        )
        self._server = CallflowServer(
            config,
            find_application=ApplicationReader(self._reporter.database).find,
            new_client=new_client,
            put_record=self._reporter.put,
            registry=registry,
        )
        self._orders = OrderReader(self._reporter.database, config.name, OrderBell(config.name, listen), self._server)

    async def start(self) -> None:
        """Open the socket and begin to report; raises AddressUnavailable."""
        await self._server.start()
        await self._reporter.start(self._server)
        self._orders.start()

    def ready(self) -> bool:
        """Return whether the node accepts new calls."""
        return self._server.ready() and self._reporter.is_healthy()

    def drain(self) -> None:
        """Refuse new calls, and say so at once."""
        self._reporter.drain()

    def idle(self) -> bool:
        """Return whether no call is left."""
        return self._server.idle()

    async def stop(self) -> None:
        """End what is left, report the end, and write what is queued."""
        await self._orders.stop()
        await self._server.stop()
        await self._reporter.stop()

    def _describe(self) -> NodeState:
        return NodeState(load=self._server.load, internal=self._server.address)
