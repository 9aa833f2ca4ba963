"""Database access from a daemon's event loop, without blocking it.

A small fixed pool of threads does the work. The queue in front of it is bounded, so a slow database makes jobs fail instead of
making the process grow. Reads are tried twice, because a restarted server leaves dead connections behind. Writes are batched by
the ReportWriter (report_writer.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import local
from time import monotonic
from typing import TypeVar

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, close_old_connections, connection
from prometheus_client import CollectorRegistry, Gauge

T = TypeVar("T")

MAX_QUEUED_JOBS = 1_000
CHECK_SECONDS = 5.0


class DatabaseBusyError(Exception):
    """Too many jobs are waiting for the database."""


def blames_the_rows(error: Exception) -> bool:
    """Return whether what was to be written caused an error, rather than a database that accepts no writes for now."""
    if isinstance(error, (DatabaseBusyError, OperationalError)):
        return False
    if isinstance(error, DatabaseError) and not isinstance(error, (DataError, IntegrityError)):
        # Any other error with an SQLSTATE is about the server: a table that does not exist yet, a read-only standby.
        return getattr(error.__cause__, "sqlstate", None) is None
    return True


class DatabaseExecutor:
    """A pool of threads that run functions which use the ORM."""

    def __init__(self, *, registry: CollectorRegistry, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._threads = threads
        self._queued = 0
        Gauge("sipuri_database_jobs", "Database jobs waiting or running", registry=registry).set_function(lambda: self._queued)

    async def read(self, function: Callable[..., T], *args: object) -> T:
        """Return the result of `function(*args)`, tried again once after an OperationalError. Raises DatabaseBusyError, DatabaseError."""
        return await self._run(_read_twice, function, args)

    async def write(self, function: Callable[..., T], *args: object) -> T:
        """Return the result of `function(*args)`. Raises DatabaseBusyError, DatabaseError."""
        return await self._run(_once, function, args)

    async def close(self) -> None:
        """Wait for running jobs and close the threads' connections."""
        await asyncio.gather(*(self._run(_disconnect) for _ in range(self._threads)))
        self._pool.shutdown(wait=False)

    async def _run(self, job: Callable[..., T], *args: object) -> T:
        if self._queued >= MAX_QUEUED_JOBS:
            raise DatabaseBusyError(f"{self._queued} database jobs are waiting")
        self._queued += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, job, *args)
        finally:
            self._queued -= 1


class _Thread(local):
    """The time at which a thread last checked its connection."""

    checked_at = -CHECK_SECONDS


_thread = _Thread()


def _once(function: Callable[..., T], args: tuple[object, ...]) -> T:
    # Django's health check of a connection is a query; within moments of the last check it would be wasted.
    now = monotonic()
    if now - _thread.checked_at >= CHECK_SECONDS:
        _thread.checked_at = now
        close_old_connections()
    try:
        return function(*args)
    except (OperationalError, InterfaceError) as error:
        # The next job opens a new connection.
        connection.close()
        if isinstance(error, OperationalError):
            raise
        # Django raises InterfaceError for a connection that was closed already. To callers it is the same failure.
        raise OperationalError(str(error)) from error


def _read_twice(function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        return _once(function, args)
    except OperationalError:
        return _once(function, args)


def _disconnect() -> None:
    connection.close()
