"""The proxy as one service: sockets, directory, records, heartbeat."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry
from structlog.contextvars import bind_contextvars

from daemonkit.address import Address
from sipproxy.adapters.bans import FleetBans
from sipproxy.adapters.call_log import RefusalLog
from sipproxy.adapters.directory import Directory
from sipproxy.adapters.ended_calls import EndedCalls
from sipproxy.adapters.nodes import LiveNodes
from sipproxy.admission.bans import BanChange
from sipproxy.admission.source_limits import TrustedSources
from sipproxy.aio.kernel_set import KernelSet
from sipproxy.aio.server import ProxyServer, Surroundings
from sipproxy.config import SipProxyConfig
from sipproxy.core.events import NodeChosen
from voiceapps.daemon.node_reporter import NodeReporter, NodeState
from voiceapps.rules.reports import CallForwarded
from voiceapps.selectors import is_to_drain
from voiceapps.services.reports import ledger


class ProxyNode:
    """The service of `runsipproxy`."""

    def __init__(
        self,
        config: SipProxyConfig,
        *,
        country_of: Callable[[str], str | None],
        registry: CollectorRegistry,
        metrics: Address | None,
        sockets: Mapping[str, socket.socket],
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._reporter = NodeReporter(
            "sipproxy",
            config.name,
            self._describe,
            is_to_drain=is_to_drain,
            ledger=ledger(),
            metrics=metrics,
            registry=registry,
        )
        database = self._reporter.database
        self._refusals = RefusalLog(self._reporter.put, registry=registry)
        trusted = TrustedSources(config.trusted)
        around = Surroundings(
            ask_directory=Directory(database, node=config.name, registry=registry).ask,
            country_of=country_of,
            is_trusted=trusted,
            on_record=self._reporter.put,
            on_refusal=self._refusals.add,
            on_node=self._on_node,
            on_bans=self._on_bans,
        )
        self._server = ProxyServer(config, around, registry=registry)
        self._bans = FleetBans(database, self._server.replace_bans, trusted.replace)
        # One worker writes to the kernel for all: it gets the bans of the others from the database.
        self._kernel = KernelSet(config.external, registry=registry) if config.guard_kernel and config.worker == 0 else None
        self._nodes = None if config.callflow_targets else LiveNodes(database, "callflow", self._server.replace_nodes, keeps_silent=True)
        self._proxies = LiveNodes(database, "sipproxy", self._server.replace_proxies)
        self._ended = EndedCalls(database, settled=self._server.settled_calls, forget=self._server.forget_calls)
        self._served = False

    async def start(self) -> None:
        """Open the sockets and begin; raises AddressUnavailable."""
        # Tasks and callbacks that are made from here on inherit this context: every line in the log names its node.
        bind_contextvars(node=self._config.name)
        await self._bans.start()
        if self._nodes:
            await self._nodes.start()
        await self._server.start(self._sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._server.reload)
        self._refusals.start()
        await self._proxies.start()
        self._ended.start()
        if self._kernel:
            await self._kernel.start()
        await self._reporter.start(self._server)

    def ready(self) -> bool:
        """Return whether new calls are welcome."""
        return self._server.ready() and self._reporter.is_healthy()

    def drain(self) -> None:
        """Refuse new calls and write that at once: the DNS server drops this node from its answers."""
        self._reporter.drain()

    def idle(self) -> bool:
        """Return whether no call is left."""
        return self._server.idle()

    async def stop(self) -> None:
        """Close the sockets, then write what is queued and close the database connection."""
        if self._nodes:
            self._nodes.stop()
        self._ended.stop()
        self._proxies.stop()
        self._bans.stop()
        await self._server.stop()
        if self._kernel:
            await self._kernel.stop()
        self._refusals.stop()
        await self._reporter.stop()

    def _on_node(self, chosen: NodeChosen) -> None:
        node = self._nodes.at(chosen.node) if self._nodes else None
        if node is not None:
            self._reporter.put(CallForwarded(chosen.call_id, node.name, node.boot))

    def _on_bans(self, change: BanChange) -> None:
        if self._kernel:
            self._kernel.apply(change)

    def _describe(self) -> NodeState | None:
        self._served = self._served or self._server.ready()
        if not (self._served or self._reporter.draining):
            # DNS must not name a proxy that cannot serve a call yet.
            return None
        external, internal = self._config.external, self._config.internal
        return NodeState(
            load=self._server.call_count,
            public=external[0].address,
            internal=internal.address,
            transports=",".join(f"{held.transport.value.lower()}:{held.address[1]}" for held in external if held.index == 0),
        )
