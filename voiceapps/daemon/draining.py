"""Whether a daemon drains: takes no new work.

It does while an operator wants it to, which its node row tells, and once its process is to end: no row takes that back.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import DatabaseError

from daemonkit.rounds import Rounds
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
        self._told = False
        self._rounds = Rounds("wanted_state", self.refresh, lambda: READ_SECONDS)

    @property
    def on(self) -> bool:
        """Whether new work is to be refused."""
        return self._wanted or self._ends

    def start(self) -> None:
        """Start the task that asks."""
        self._rounds.start()

    def stop(self) -> None:
        """Stop the task that asks."""
        self._rounds.stop()

    def end(self) -> None:
        """Drain for good: the process is to end."""
        self._ends = True
        self._tell()

    async def refresh(self) -> None:
        """Ask once; a database that does not answer changes nothing."""
        try:
            wanted = await self._database.read(self._is_to_drain, self._name)
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("wanted_state_unknown", error=str(error))
            return
        if wanted != self._wanted:
            log.info("operator_wants", state="draining" if wanted else "up")
        self._wanted = wanted
        self._tell()

    def _tell(self) -> None:
        """Tell a change; one that failed is told again in the next round."""
        if self.on != self._told:
            self._on_change(self.on)
            self._told = self.on
