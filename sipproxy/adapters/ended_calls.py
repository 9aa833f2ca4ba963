"""Calls that ended without a BYE that passed this proxy, as when their call-flow node died."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog
from django.db import DatabaseError

from daemonkit.rounds import Rounds
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.selectors import ended_calls

REFRESH_SECONDS = 10.0

log = structlog.get_logger(__name__)


class EndedCalls:
    """Asks the database every ten seconds which calls of `settled()` have ended, and calls `forget` with them."""

    def __init__(
        self, database: DatabaseExecutor, *, settled: Callable[[], Sequence[str]], forget: Callable[[Iterable[str]], None]
    ) -> None:
        self._database = database
        self._settled = settled
        self._forget = forget
        self._rounds = Rounds("ended_calls", self.refresh, lambda: REFRESH_SECONDS)

    def start(self) -> None:
        """Start the task that asks."""
        self._rounds.start(with_pause=True)

    def stop(self) -> None:
        """Stop the task that asks."""
        self._rounds.stop()

    async def refresh(self) -> None:
        """Ask the database once; without an answer no call is forgotten."""
        settled = self._settled()
        if not settled:
            return
        try:
            over = await self._database.read(ended_calls, settled)
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("ends_unknown", error=str(error))
            return
        if over:
            log.info("calls_forgotten", count=len(over))
            self._forget(over)
