"""The writer of files of calls in a worker's process: one loop, one database connection, a part of a file at a time.

A task only wakes it. Each part is a job of the database's thread, so that a process that has to end leaves a file after a part of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.runners.loop_thread import LoopThread
from voiceapps.runners.table_work import TableWork
from voiceapps.services.diagnosis import exports
from voiceapps.services.diagnosis.exports import Claimed, LostError, Writing

PLACES = 2
FAILED = "It could not be written: a fault of this system, which is in its log."

log = structlog.get_logger(__name__)


class ExportRunner(TableWork[Claimed, Claimed, str]):
    """Writes the files that wait; what comes of one is the sentence that says why it is not there, or nothing."""

    def __init__(self, database: DatabaseExecutor) -> None:
        super().__init__(PLACES)
        self._database = database

    async def _claim(self, places: int) -> dict[Claimed, Claimed]:
        return {claimed: claimed for claimed in await self._database.write(exports.claim, places)}

    async def _carry_out(self, job: Claimed) -> str:
        try:
            writing = await self._database.write(Writing, job)
            while await self._database.write(writing.go_on):
                pass
        except LostError:
            log.info("export_lost", export=str(job.export_id))
        except OSError as error:
            log.warning("export_failed", export=str(job.export_id), error=str(error))
            return f"The file could not be written: {error.strerror}."
        except Exception:  # noqa: BLE001  # whatever it is, the operator waits for an end
            log.exception("export_failed", export=str(job.export_id))
            return FAILED
        return ""

    async def _store(self, key: Claimed, result: str) -> None:
        await self._database.write(exports.store, key, result)

    async def _give_back(self, keys: Collection[Claimed]) -> None:
        await self._database.write(exports.give_back, keys)


@asynccontextmanager
async def _open() -> AsyncIterator[ExportRunner]:
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    try:
        yield ExportRunner(database)
    finally:
        await database.close()


runner = LoopThread("exports", _open)
