"""Whether a daemon drains: takes no new work.

It does while an operator wants it to, which its node row tells, and once its process is to end: no row takes that back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from django.db import DatabaseError

from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor

READ_SECONDS = 1.0
"""Half of the time in which a node has to obey."""

log = structlog.get_logger(__name__)


class Draining:
    """Asks `is_to_drain(name)` each second, and calls `on_change` when it goes on or off.

    While the database does not answer, the last known answer stands.
    """

    def __init__(
        self, database: DatabaseExecutor, name: str, is_to_drain: Callable[[str], bool], on_change: Callable[[bool], None]
    ) -> None:
        self._database = database
        self._name = name
        self._is_to_drain = is_to_drain
        self._on_change = on_change
        self._wanted = False
        self._ends = False
        self._task: asyncio.Task[None] | None = None

    @property
    def on(self) -> bool:
        """Whether new work is to be refused."""
        return self._wanted or self._ends

    def start(self) -> None:
        """Start the task that asks."""
        self._task = asyncio.create_task(self._ask_forever())

    def stop(self) -> None:
        """Stop the task that asks."""
        if self._task is not None:
            self._task.cancel()

    def end(self) -> None:
        """Drain for good: the process is to end."""
        was, self._ends = self.on, True
        self._tell(was)

    async def refresh(self) -> None:
        """Ask once; a database that does not answer changes nothing."""
        try:
            wanted = await self._database.read(self._is_to_drain, self._name)
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("wanted_state_unknown", error=str(error))
            return
        if wanted != self._wanted:
            log.info("operator_wants", state="draining" if wanted else "up")
        was, self._wanted = self.on, wanted
        self._tell(was)

    def _tell(self, was: bool) -> None:
        if self.on != was:
            self._on_change(self.on)

    async def _ask_forever(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(READ_SECONDS)
