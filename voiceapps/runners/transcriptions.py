"""The runner of transcriptions in a worker's process: one recording at a time, as recognising speech takes a processor.

A task only wakes it. What recognises speech runs elsewhere; here its end is awaited, or its deadline. Where the row is gone, nobody waits
for it any more: its work is ended soon, so that what is deleted and ordered anew again and again keeps no workers.
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

from daemonkit.rounds import Rounds
from voiceapps.choices import TranscriptionStatus
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.transcripts import NotTranscribedError, Transcript
from voiceapps.runners.loop_thread import LoopThread
from voiceapps.runners.table_work import TableWork
from voiceapps.services.transcriptions import claims
from voiceapps.services.transcriptions.claims import Outcome, Planned

PLACES = 1
CHECK_SECONDS = 2.0
"""How long work goes on whose row is gone."""

log = structlog.get_logger(__name__)

Transcribe = Callable[[Path], Awaitable[Transcript]]
"""Returns what is understood of a recording; raises NotTranscribedError. What `TRANSCRIPTION` names."""


class TranscriptionRunner(TableWork[Planned, Planned, Outcome]):
    """Has the recordings that wait written down."""

    def __init__(self, transcribe: Transcribe, database: DatabaseExecutor) -> None:
        super().__init__(PLACES)
        self._transcribe = transcribe
        self._database = database
        self._checks = Rounds("transcription claims", self._check, lambda: CHECK_SECONDS)

    async def run(self) -> None:
        """Write down what waits until it is closed, and end what nobody waits for any more."""
        self._checks.start()
        try:
            await super().run()
        finally:
            self._checks.stop()

    async def _check(self) -> None:
        if claimed := tuple(self._running):
            still_mine = await self._database.read(claims.still_mine, claimed)
            self._drop(key for key in claimed if key not in still_mine)

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
