"""The runner of transcriptions in a worker's process: one recording at a time, as recognising speech takes a processor.

A task only wakes it. What recognises speech runs elsewhere; here its end is awaited, or its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import CollectorRegistry

from voiceapps.choices import TranscriptionStatus
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.loop_thread import LoopThread
from voiceapps.rules.transcripts import NotTranscribedError, Transcript
from voiceapps.services.transcriptions import claims
from voiceapps.services.transcriptions.claims import Outcome, Planned
from voiceapps.table_work import TableWork

PLACES = 1

log = structlog.get_logger(__name__)

Transcribe = Callable[[Path], Awaitable[Transcript]]
"""Returns what is understood of a recording; raises NotTranscribedError. What `TRANSCRIPTION` names."""


class TranscriptionRunner(TableWork[Planned, Planned, Outcome]):
    """Has the recordings that wait written down."""

    def __init__(self, transcribe: Transcribe, database: DatabaseExecutor) -> None:
        super().__init__(PLACES)
        self._transcribe = transcribe
        self._database = database

    async def _claim(self, places: int) -> dict[Planned, Planned]:
        planned = await self._database.write(claims.claim)
        return {} if planned is None else {planned: planned}

    async def _carry_out(self, job: Planned) -> Outcome:
        try:
            async with asyncio.timeout(job.seconds) as deadline:
                return await self._transcribe(job.path)
        except NotTranscribedError as error:
            log.warning("not_transcribed", transcription=job.transcription_id, error=str(error))
        except Exception:  # noqa: BLE001  # whatever it is, the customer waits for an end
            if deadline.expired():
                return TranscriptionStatus.TIMEOUT
            log.exception("transcription_failed", transcription=job.transcription_id)
        return TranscriptionStatus.ERROR

    async def _store(self, key: Planned, result: Outcome) -> None:
        await self._database.write(claims.store, key, result)

    async def _give_back(self, keys: Collection[Planned]) -> None:
        await self._database.write(claims.give_back, keys)


@asynccontextmanager
async def _open() -> AsyncIterator[TranscriptionRunner]:
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    transcribe: Transcribe = import_string(settings.TRANSCRIPTION)
    try:
        yield TranscriptionRunner(transcribe, database)
    finally:
        await database.close()


runner = LoopThread("transcriptions", _open)
