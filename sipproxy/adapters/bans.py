"""The bans of the whole fleet, and the sources that operators trust, read from the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from django.db import DatabaseError

from daemonkit.rounds import Rounds
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.rules.reports import SourceBanned
from voiceapps.selectors import SourceRules, source_rules

REFRESH_SECONDS = 1.0

log = structlog.get_logger(__name__)


class FleetBans:
    """Calls `on_bans` each second with the banned sources, whether a proxy or an operator banned them, and `on_trusted` with the ranges.

    While the database does not answer, the last known bans stay in force until they expire, and who was trusted is trusted.
    """

    def __init__(
        self,
        database: DatabaseExecutor,
        on_bans: Callable[[Sequence[SourceBanned]], None],
        on_trusted: Callable[[Sequence[str]], None],
    ) -> None:
        self._database = database
        self._on_bans = on_bans
        self._on_trusted = on_trusted
        self._rounds = Rounds("fleet_bans", self.refresh, lambda: REFRESH_SECONDS)

    async def start(self) -> None:
        """Read once, then start the task that reads each second."""
        await self.refresh()
        self._rounds.start(with_pause=True)

    def stop(self) -> None:
        """Stop the task that reads."""
        self._rounds.stop()

    async def refresh(self) -> None:
        """Read the bans once; a database that does not answer changes nothing."""
        try:
            found: SourceRules = await self._database.read(source_rules)
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("bans_unavailable", error=str(error))
            return
        self._on_trusted(found.trusted)
        self._on_bans(found.bans)
