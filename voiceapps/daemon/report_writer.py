"""The writer of a daemon's reports: in batches and in order, off the event loop.

What earlier boots of the node left in their journals is written first, and only then is the node announced by a beat: whoever sees
the new boot knows that all is told of the old ones.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection
from dataclasses import replace

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from voiceapps.daemon.database import DatabaseExecutor, blames_the_rows
from voiceapps.daemon.lanes import MAX_BATCH, Lane, MemoryLane
from voiceapps.daemon.ledger import Ledger
from voiceapps.rules.reports import Batch, CallNotice, LadderMessage, MediaNotice, NodeBeat, RefusalSeen, Report

FLUSH_SECONDS = 0.25
RETRY_SECONDS = 1.0
_TRACES = (LadderMessage, MediaNotice, CallNotice, RefusalSeen)

log = structlog.get_logger(__name__)


class ReportWriter:
    """The lanes of a daemon's reports and the task that writes them.

    While the database is unavailable, a batch is tried again. A batch that fails for another reason is halved until the bad report stands
    alone. That report is logged, counted and discarded.
    """

    def __init__(
        self,
        database: DatabaseExecutor,
        ledger: Ledger,
        node: str,
        *,
        registry: CollectorRegistry,
    ) -> None:
        self._database = database
        self._ledger = ledger
        journals = ledger.open(node)
        self._calls, self._older, self._living = journals.own, deque(journals.older), journals.living
        self._traces = MemoryLane(replace(self._calls.origin, lane="traces"))
        self._has_forgotten = False
        self._beat: NodeBeat | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self.began_at: float | None = None
        """When the write that is going on began, in monotonic seconds."""
        self._dropped = Counter("sipuri_records_dropped", "Records that found no room", registry=registry)
        self._refused = Counter("sipuri_records_refused", "Records that could not be written", ["kind"], registry=registry)
        queued = Gauge("sipuri_records_queued", "Records that wait to be written", registry=registry)
        queued.set_function(lambda: sum(map(len, self._older)) + len(self._calls) + len(self._traces))

    def put(self, report: Report) -> None:
        """Queue a report, or drop it where there is no room; never waits and never raises."""
        if isinstance(report, NodeBeat):
            # Only the newest one tells anything.
            self._beat = report
        else:
            lane = self._traces if isinstance(report, _TRACES) else self._calls
            try:
                if not lane.put(report):
                    self._dropped.inc()
            except ValueError as error:
                self._refuse(report, error)
        self._wake.set()

    @property
    def boot(self) -> str:
        """The present life of the node; later ones sort behind earlier ones."""
        return self._calls.origin.boot

    @property
    def is_running(self) -> bool:
        """Whether the task that writes lives."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Start the task that writes."""
        self._wake.set()
        self._task = asyncio.create_task(self._write_forever())

    async def close(self) -> None:
        """Write what is queued and stop the task; what the database does not take stays in the journal."""
        self._closing = True
        self._wake.set()
        if self._task:
            await self._task
        for lane in (*self._older, self._calls):
            lane.close()

    async def _write_forever(self) -> None:
        while not (self._closing and self._next() is None):
            await self._wake.wait()
            if not self._closing:
                await asyncio.sleep(FLUSH_SECONDS)
            self._wake.clear()
            if not await self._flush() and self._closing:
                log.error("records_unwritten", journalled=len(self._calls), lost=len(self._traces))
                return

    async def _flush(self) -> bool:
        """Write what there is. What comes meanwhile waits for the next time, or batches would be as small as the database is quick."""
        emptied: list[Lane] = []
        try:
            while (work := self._next(emptied)) is not None:
                batch, lane = work
                await self._write(batch)
                self._drop(batch, lane)
                if lane is not None and len(batch.reports) < MAX_BATCH and not self._closing:
                    emptied.append(lane)
            if emptied:
                # A lane may hold more than it showed, behind a gap between the numbers.
                self._wake.set()
            await self._forget_older()
        except Exception as error:  # noqa: BLE001  # whatever it is, all later reports wait for this task
            log.warning("records_wait", error=f"{type(error).__name__}: {error}", journalled=len(self._calls), queued=len(self._traces))
            await self._sync()
            self._wake.set()
            await asyncio.sleep(0 if self._closing else RETRY_SECONDS)
            return False
        return True

    async def _sync(self) -> None:
        """Bring to the disk what the database does not take: what it takes at once lies there already."""
        try:
            await asyncio.to_thread(self._calls.sync)
        except OSError as error:
            log.warning("journal_not_synced", error=str(error))

    def _next(self, emptied: Collection[Lane] = ()) -> tuple[Batch, Lane | None] | None:
        """Return what is to be written next, and the lane that it came from, which is none of the emptied ones.

        Older boots come before the beat of this one, calls before traces; and the last beat, which says that the node is down, after calls.
        """
        beat = None if self._beat is None else (Batch((self._beat,)), None)
        if beat and not self._older and not self._closing:
            return beat
        while self._older:
            if (batch := self._older[0].batch()) is not None:
                return batch, self._older[0]
            self._older.popleft().close()
        if self._calls not in emptied and (batch := self._calls.batch()) is not None:
            return batch, self._calls
        if beat:
            return beat
        batch = None if self._traces in emptied else self._traces.batch()
        return None if batch is None else (batch, self._traces)

    async def _forget_older(self) -> None:
        """Forget what was written for the boots whose journals are told."""
        if not self._has_forgotten:
            await self._database.write(self._ledger.forget_boots, self._calls.origin.node, self._living)
            self._has_forgotten = True

    def _drop(self, batch: Batch, lane: Lane | None) -> None:
        if lane is not None:
            lane.drop(batch)
        elif batch.reports[0] is self._beat:
            self._beat = None

    async def _write(self, batch: Batch) -> None:
        """Write a batch, but for the bad reports in it; raises errors that no report caused."""
        try:
            self.began_at = time.monotonic()
            await self._database.write(self._ledger.write_batch, batch)
        except Exception as error:
            if not blames_the_rows(error):
                raise
            if len(batch.reports) > 1:
                for half in batch.halves():
                    await self._write(half)
                return
            self._refuse(batch.reports[0], error)
        finally:
            self.began_at = None

    def _refuse(self, report: Report, error: Exception) -> None:
        kind = type(report).__name__
        self._refused.labels(kind).inc()
        log.error("record_refused", record=kind, error=f"{type(error).__name__}: {error}")
