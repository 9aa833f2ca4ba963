"""Let a daemon's event loop use the database without waiting for it.

A small fixed pool of threads does the work; the queue in front of it is bounded, so a slow database becomes a refusal
that the caller sees and not a process that grows. Reads are tried twice, as a restarted server leaves dead
connections behind. Writes are batched by RecordWriter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local
from time import monotonic
from typing import TypeVar

import structlog
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, close_old_connections, connection
from prometheus_client import CollectorRegistry, Counter, Gauge

from voiceapps.rules.records import Record
from voiceapps.services.records import write_records

T = TypeVar("T")

MAX_QUEUED_JOBS = 1_000
MAX_QUEUED_RECORDS = 50_000
MAX_BATCH = 500
FLUSH_SECONDS = 0.25
RETRY_SECONDS = 1.0
CHECK_SECONDS = 5.0

log = structlog.get_logger(__name__)


class DoorBusyError(Exception):
    """Say that the database does not keep up."""


class DatabaseDoor:
    """Run functions that use the ORM in threads of their own."""

    def __init__(self, *, registry: CollectorRegistry, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._threads = threads
        self._queued = 0
        Gauge("sipuri_database_jobs", "Database jobs waiting or running", registry=registry).set_function(lambda: self._queued)

    async def read(self, function: Callable[..., T], *args: object) -> T:
        """Return what `function(*args)` returns; tried again once after an OperationalError. Raises DoorBusyError, DatabaseError."""
        return await self._run(_read_twice, function, args)

    async def write(self, function: Callable[..., T], *args: object) -> T:
        """Return what `function(*args)` returns. Raises DoorBusyError, DatabaseError."""
        return await self._run(_once, function, args)

    async def close(self) -> None:
        """Wait for the jobs that run and close the threads' connections."""
        await asyncio.gather(*(self._run(_disconnect) for _ in range(self._threads)))
        self._pool.shutdown(wait=False)

    async def _run(self, job: Callable[..., T], *args: object) -> T:
        if self._queued >= MAX_QUEUED_JOBS:
            raise DoorBusyError(f"{self._queued} database jobs are waiting")
        self._queued += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, job, *args)
        finally:
            self._queued -= 1


class _Thread(local):
    """What a thread of the pool knows of its connection."""

    checked_at = -CHECK_SECONDS


_thread = _Thread()


def _once(function: Callable[..., T], args: tuple[object, ...]) -> T:
    # Django asks the server whether it lives each time; within moments of the last answer that is a query for nothing.
    now = monotonic()
    if now - _thread.checked_at >= CHECK_SECONDS:
        _thread.checked_at = now
        close_old_connections()
    try:
        return function(*args)
    except (OperationalError, InterfaceError) as error:
        # The next job starts with a connection of its own.
        connection.close()
        if isinstance(error, OperationalError):
            raise
        # A connection that was closed already is no DatabaseError by Django's names; who asks need not know the difference.
        raise OperationalError(str(error)) from error


def _read_twice(function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        return _once(function, args)
    except OperationalError:
        return _once(function, args)


def _disconnect() -> None:
    connection.close()


class RecordWriter:
    """Write a daemon's records in order, in batches, off the event loop.

    While the database is away a batch is tried again; past `MAX_QUEUED_RECORDS` new records are dropped and counted. A batch
    that fails otherwise is halved until the bad record stands alone: that one is logged, counted and set aside.
    """

    def __init__(self, door: DatabaseDoor, *, registry: CollectorRegistry) -> None:
        self._door = door
        self._queue: deque[Record] = deque()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._dropped = Counter("sipuri_records_dropped", "Records that found the queue full", registry=registry)
        self._refused = Counter("sipuri_records_refused", "Records that could not be written", ["kind"], registry=registry)
        Gauge("sipuri_records_queued", "Records that wait to be written", registry=registry).set_function(lambda: len(self._queue))

    def put(self, record: Record) -> None:
        """Queue a record; never waits and never raises."""
        if len(self._queue) >= MAX_QUEUED_RECORDS:
            self._dropped.inc()
            return
        self._queue.append(record)
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

    async def _write(self, batch: Sequence[Record]) -> None:
        """Write the first records of the queue and take them off it, the bad ones unwritten; raises what is no record's fault."""
        try:
            await self._door.write(write_records, batch)
        except Exception as error:
            if not _blames_a_record(error):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._write(batch[:middle])
                await self._write(batch[middle:])
                return
            self._refuse(batch[0], error)
        for _ in batch:
            self._queue.popleft()

    def _refuse(self, record: Record, error: Exception) -> None:
        kind = type(record).__name__
        self._refused.labels(kind).inc()
        log.error("record_refused", record=kind, error=f"{type(error).__name__}: {error}")


def _blames_a_record(error: Exception) -> bool:
    """Tell whether it is a record that cannot be written, and not the database that takes none for now."""
    if isinstance(error, (DoorBusyError, OperationalError)):
        return False
    if isinstance(error, DatabaseError) and not isinstance(error, (DataError, IntegrityError)):
        # What else a server reports is its own state: a table that is not there yet, a standby that takes no writes.
        return getattr(error.__cause__, "sqlstate", None) is None
    return True
