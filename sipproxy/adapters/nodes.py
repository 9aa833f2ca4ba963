"""The live nodes of a role, read from the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from django.db import DatabaseError

from daemonkit.address import Address
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.rules.reports import Role
from voiceapps.selectors import NodeView, node_pool

OnNodes = Callable[[tuple[Address, ...], tuple[Address, ...]], None]

log = structlog.get_logger(__name__)


class LiveNodes:
    """Calls `on_nodes` at each refresh with the nodes of a role that take calls, the least loaded first, and with all that live.

    While the database does not answer, the last known nodes stay in use.
    """

    def __init__(self, database: DatabaseExecutor, role: Role, on_nodes: OnNodes, *, seconds: float) -> None:
        self._database = database
        self._role = role
        self._on_nodes = on_nodes
        self._seconds = seconds
        self._by_address: dict[Address, NodeView] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read once, then start the task that reads again and again."""
        await self._refresh()
        self._task = asyncio.create_task(self._refresh_forever())

    def stop(self) -> None:
        """Stop the task that reads."""
        if self._task:
            self._task.cancel()

    def at(self, address: Address) -> NodeView | None:
        """Return the node that was last known at an address."""
        return self._by_address.get(address)

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            nodes = await self._database.read(node_pool, self._role)
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("nodes_unavailable", role=self._role, error=str(error))
            return
        self._by_address = {_address(node): node for node in nodes}
        by_load = sorted(nodes, key=lambda node: node.load)
        self._on_nodes(tuple(_address(node) for node in by_load if node.state == "up"), tuple(_address(node) for node in by_load))


def _address(node: NodeView) -> Address:
    host, _, port = node.internal_address.rpartition(":")
    return host, int(port)
