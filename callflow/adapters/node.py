"""Run the call flow of one node: calls, their records, and a heartbeat."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from callflow.adapters.applications import ApplicationReader
from callflow.aio.server import CallflowServer
from callflow.config import CallflowConfig
from daemonkit.address import Address
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.daemon.heartbeat import Heartbeat
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.daemon.record_writer import RecordWriter
from voiceapps.rules.records import NodeBeat
from voiceapps.services.records import write_records


class CallflowNode:
    """The service of `runcallflow`."""

    def __init__(
        self,
        config: CallflowConfig,
        *,
        metrics: Address | None,
        new_client: Callable[[], WebhookClient],
        registry: CollectorRegistry,
    ) -> None:
        self._config = config
        self._metrics_address = f"{metrics[0]}:{metrics[1]}" if metrics else ""
        self._database = DatabaseExecutor(registry=registry)
        self._writer = RecordWriter(self._database, write_records, registry=registry)
        self._server = CallflowServer(
            config,
            find_application=ApplicationReader(self._database).find,
            new_client=new_client,
            put_record=self._writer.put,
            registry=registry,
        )
        self._heartbeat = Heartbeat(self._writer, self._describe)

    async def start(self) -> None:
        """Open the socket and begin to report; raises AddressUnavailable."""
        await self._server.start()
        await self._writer.start()
        self._heartbeat.start()

    def ready(self) -> bool:
        """Tell whether new calls are welcome."""
        return self._server.ready()

    def drain(self) -> None:
        """Refuse new calls, and say so at once."""
        self._server.drain()
        self._heartbeat.beat()

    def idle(self) -> bool:
        """Tell whether no call is left."""
        return self._server.idle()

    async def stop(self) -> None:
        """End what is left, report the end, and write what is queued."""
        await self._server.stop()
        await self._heartbeat.stop()
        await self._writer.close()
        await self._database.close()

    def _describe(self) -> NodeBeat:
        host, port = self._server.address
        return NodeBeat(
            role="callflow",
            name=self._config.name,
            at=time.time(),
            state="up" if self._server.ready() else "draining",
            public_address="",
            internal_address=f"{host}:{port}",
            load=self._server.load,
            metrics_address=self._metrics_address,
        )
