"""Write a daemon's records off its event loop, in batches and in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from django.db import DatabaseError, DataError, IntegrityError, OperationalError
from prometheus_client import CollectorRegistry, Counter, Gauge

from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.rules.reports import Report

MAX_QUEUED_REPORTS = 50_000
MAX_BATCH = 500
FLUSH_SECONDS = 0.25
RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)

WriteReports = Callable[[Sequence[Report]], None]
"""Writes a batch, all or nothing: `voiceapps.services.reports.write_reports`."""


class ReportWriter:
    """Write a daemon's records in order, in batches, off the event loop.

    While the database is away a batch is tried again; past `MAX_QUEUED_REPORTS` new records are dropped and counted. A batch
    that fails otherwise is halved until the bad record stands alone: that one is logged, counted and set aside.
    """

    def __init__(self, database: DatabaseExecutor, write_reports: WriteReports, *, registry: CollectorRegistry) -> None:
        self._database = database
        self._write_reports = write_reports
        self._queue: deque[Report] = deque()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._dropped = Counter("sipuri_records_dropped", "Records that found the queue full", registry=registry)
        self._refused = Counter("sipuri_records_refused", "Records that could not be written", ["kind"], registry=registry)
        Gauge("sipuri_records_queued", "Records that wait to be written", registry=registry).set_function(lambda: len(self._queue))

    def put(self, report: Report) -> None:
        """Queue a record; never waits and never raises."""
        if len(self._queue) >= MAX_QUEUED_REPORTS:
            self._dropped.inc()
            return
        self._queue.append(report)
        self._wake.set()

    async def start(self) -> None:
        """Start writing."""
        self._task = asyncio.create_task(self._write_forever())

    async def close(self) -> None:
        """Write what is queued and stop."""
        self._closing = True
        self._wake.set()
        if self._task:
            await self._task

    async def _write_forever(self) -> None:
        while not (self._closing and not self._queue):
            await self._wake.wait()
            if not self._closing:
                await asyncio.sleep(FLUSH_SECONDS)
            self._wake.clear()
            if not await self._flush() and self._closing:
                log.error("records_lost", count=len(self._queue))
                return

    async def _flush(self) -> bool:
        while self._queue:
            batch = [self._queue[i] for i in range(min(len(self._queue), MAX_BATCH))]
            try:
                await self._write(batch)
            except Exception as error:  # noqa: BLE001  # whatever it is, all later records wait for this task
                log.warning("records_wait", error=str(error), queued=len(self._queue))
                self._wake.set()
                await asyncio.sleep(0 if self._closing else RETRY_SECONDS)
                return False
        return True

    async def _write(self, batch: Sequence[Report]) -> None:
        """Write the first records of the queue and take them off it, the bad ones unwritten; raises what is no record's fault."""
        try:
            await self._database.write(self._write_reports, batch)
        except Exception as error:
            if not _blames_a_report(error):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._write(batch[:middle])
                await self._write(batch[middle:])
                return
            self._refuse(batch[0], error)
        for _ in batch:
            self._queue.popleft()

    def _refuse(self, report: Report, error: Exception) -> None:
        kind = type(report).__name__
        self._refused.labels(kind).inc()
        log.error("record_refused", record=kind, error=f"{type(error).__name__}: {error}")


def _blames_a_report(error: Exception) -> bool:
    """Tell whether it is a record that cannot be written, and not the database that takes none for now."""
    if isinstance(error, (DatabaseBusyError, OperationalError)):
        return False
    if isinstance(error, DatabaseError) and not isinstance(error, (DataError, IntegrityError)):
        # What else a server reports is its own state: a table that is not there yet, a standby that takes no writes.
        return getattr(error.__cause__, "sqlstate", None) is None
    return True
