"""The live nodes of a role, read from the database."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import DatabaseError

from daemonkit.address import Address
from daemonkit.rounds import Rounds
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.rules.reports import Role
from voiceapps.selectors import NodeView, known_nodes, pool_of

REFRESH_SECONDS = 1.0

OnNodes = Callable[[tuple[Address, ...], tuple[Address, ...]], None]

log = structlog.get_logger(__name__)


class LiveNodes:
    """Calls `on_nodes` each second with the nodes of a role that take calls, the least loaded first, and with all that live.

    `keeps_silent` adds to the latter those that have fallen silent lately: one that cannot reach the database still has its calls.
    While the database does not answer, the last known nodes stay in use.
    """

    def __init__(self, database: DatabaseExecutor, role: Role, on_nodes: OnNodes, *, keeps_silent: bool = False) -> None:
        self._database = database
        self._keeps_silent = keeps_silent
        self._role = role
        self._on_nodes = on_nodes
        self._by_address: dict[Address, NodeView] = {}
        self._rounds = Rounds("nodes", self._refresh, lambda: REFRESH_SECONDS)

    async def start(self) -> None:
        """Read once, then start the task that reads again and again."""
        await self._refresh()
        self._rounds.start(with_pause=True)

    def stop(self) -> None:
        """Stop the task that reads."""
        self._rounds.stop()

    def at(self, address: Address) -> NodeView | None:
        """Return the node that was last known at an address."""
        return self._by_address.get(address)

    async def _refresh(self) -> None:
        try:
            known = await self._database.read(known_nodes, self._role)
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("nodes_unavailable", role=self._role, error=str(error))
            return
        # The live ones last: an address may have been another node's before.
        self._by_address = {_address(node): node for node in sorted(known, key=lambda node: node.live)}
        pool = pool_of(known)
        by_load = sorted(pool, key=lambda node: node.load)
        up = tuple(_address(node) for node in by_load if node.state == "up")
        self._on_nodes(up, tuple(map(_address, known if self._keeps_silent else pool)))


def _address(node: NodeView) -> Address:
    host, _, port = node.internal_address.rpartition(":")
    return host, int(port)
