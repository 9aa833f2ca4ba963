"""The phone of a worker's process: the calls that wait are placed, a few at a time, each heard to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from uuid import UUID

import structlog
from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.trials.placed_call import Outcome
from voiceapps.runners.loop_thread import LoopThread
from voiceapps.runners.table_work import TableWork
from voiceapps.services.trials import placed_calls
from voiceapps.services.trials.placed_calls import Planned

PLACES = 4
FAILED = "It could not be placed: a fault of this system, which is in its log."

log = structlog.get_logger(__name__)

Place = Callable[[Planned], Awaitable[Outcome]]
"""Places a call and returns what came of it; what `CALL_PLACING` names."""


class PlacedCallRunner(TableWork[UUID, Planned, Outcome]):
    """Places the calls that wait."""

    def __init__(self, place: Place, database: DatabaseExecutor) -> None:
        super().__init__(PLACES)
        self._place = place
        self._database = database

    async def _claim(self, places: int) -> dict[UUID, Planned]:
        return {planned.placed_call_id: planned for planned in await self._database.write(placed_calls.claim, places)}

    async def _carry_out(self, job: Planned) -> Outcome:
        try:
            return await self._place(job)
        except Exception:  # noqa: BLE001  # whatever it is, somebody waits for an end
            log.exception("placed_call_failed", placed_call=str(job.placed_call_id))
            return Outcome(problem=FAILED)

    async def _store(self, key: UUID, result: Outcome) -> None:
        await self._database.write(placed_calls.store, key, result)

    async def _give_back(self, keys: Collection[UUID]) -> None:
        await self._database.write(placed_calls.give_back, keys)


@asynccontextmanager
async def _open() -> AsyncIterator[PlacedCallRunner]:
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    try:
        yield PlacedCallRunner(import_string(settings.CALL_PLACING), database)
    finally:
        await database.close()


runner = LoopThread("placed calls", _open)
