"""The queue of a daemon's reports, written in batches and in order, off the event loop."""

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
    """The queue of a daemon's reports and the task that writes them.

    While the database is unavailable, a batch is tried again; past `MAX_QUEUED_REPORTS` new reports are dropped and counted. A batch that
    fails for another reason is halved until the bad report stands alone. That report is logged, counted and discarded.
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
        """Queue a report, or drop it if the queue is full; never waits and never raises."""
        if len(self._queue) >= MAX_QUEUED_REPORTS:
            self._dropped.inc()
            return
        self._queue.append(report)
        self._wake.set()

    async def start(self) -> None:
        """Start the task that writes."""
        self._task = asyncio.create_task(self._write_forever())

    async def close(self) -> None:
        """Write what is queued and stop the task."""
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
            except Exception as error:  # noqa: BLE001  # whatever it is, all later reports wait for this task
                log.warning("records_wait", error=str(error), queued=len(self._queue))
                self._wake.set()
                await asyncio.sleep(0 if self._closing else RETRY_SECONDS)
                return False
        return True

    async def _write(self, batch: Sequence[Report]) -> None:
        """Write the first reports of the queue and remove them from it, the bad ones unwritten; raises errors that no report caused."""
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
    """Return whether a report caused the error, rather than a database that accepts no writes for now."""
    if isinstance(error, (DatabaseBusyError, OperationalError)):
        return False
    if isinstance(error, DatabaseError) and not isinstance(error, (DataError, IntegrityError)):
        # Any other error with an SQLSTATE is about the server: a table that does not exist yet, a read-only standby.
        return getattr(error.__cause__, "sqlstate", None) is None
    return True
