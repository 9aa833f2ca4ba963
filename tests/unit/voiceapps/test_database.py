"""The executor and the writer, against a real database that is sometimes unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from django.db import DatabaseError, DataError, InterfaceError, InternalError, OperationalError, ProgrammingError
from prometheus_client import CollectorRegistry

from tests.unit.voiceapps.builders import application, facts
from voiceapps.daemon import database as executors
from voiceapps.daemon import report_writer
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.daemon.report_writer import ReportWriter
from voiceapps.models import Call
from voiceapps.rules.reports import CallAdmitted, NodeBeat, Report
from voiceapps.services.reports import write_reports


@pytest.fixture
async def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def database(registry: CollectorRegistry) -> AsyncIterator[DatabaseExecutor]:
    database = DatabaseExecutor(registry=registry)
    yield database
    await database.close()


def reported(sqlstate: str, kind: type[DatabaseError]) -> DatabaseError:
    """Return an error as Django raises it for one that PostgreSQL reported."""
    cause, error = Exception(), kind("reported")
    cause.sqlstate = sqlstate  # type: ignore[attr-defined]  # as psycopg's errors have it
    error.__cause__ = cause
    return error


def beat(number: int) -> NodeBeat:
    return NodeBeat("callflow", f"n{number}", 0.0, "up", "", "", number, "")


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
async def test_a_read_is_tried_twice(database: DatabaseExecutor, kind: type[Exception]) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise kind("the server went away")
        return "there"

    assert await database.read(flaky) == "there"


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
async def test_a_write_is_not_tried_twice(database: DatabaseExecutor, kind: type[Exception]) -> None:
    def broken() -> None:
        raise kind("the server went away")

    with pytest.raises(OperationalError):
        await database.write(broken)


async def test_the_queue_is_bounded(database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "MAX_QUEUED_JOBS", 2)
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result()

    waiting = [asyncio.create_task(database.read(wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusyError):
        await database.read(wait)
    held.set()
    await asyncio.gather(*waiting)


async def test_reports_survive_an_unavailable_database_in_order(
    database: DatabaseExecutor, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Report] = []
    failures = iter([OperationalError("locked"), OperationalError("locked")])

    def write(batch: Sequence[Report]) -> None:
        for error in failures:
            raise error
        written.extend(batch)

    monkeypatch.setattr(report_writer, "RETRY_SECONDS", 0)
    monkeypatch.setattr(report_writer, "FLUSH_SECONDS", 0)
    writer = ReportWriter(database, write, registry=registry)
    await writer.start()
    for number in range(3):
        writer.put(beat(number))
    while len(written) < 3:
        await asyncio.sleep(0)
    writer.put(beat(3))
    await writer.close()
    assert written == [beat(number) for number in range(4)]


@pytest.mark.parametrize("error", [ValueError("bad"), AttributeError("bad"), DataError("bad"), ProgrammingError("no adapter")])
async def test_a_bad_report_is_discarded_and_the_others_are_written(
    database: DatabaseExecutor, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    written: list[Report] = []

    def write(batch: Sequence[Report]) -> None:
        if beat(2) in batch:
            raise error
        written.extend(batch)

    writer = ReportWriter(database, write, registry=registry)
    for number in range(5):
        writer.put(beat(number))
    await writer.start()
    await writer.close()
    assert written == [beat(number) for number in (0, 1, 3, 4)]
    assert registry.get_sample_value("sipuri_records_refused_total", {"kind": "NodeBeat"}) == 1


@pytest.mark.parametrize(
    "error", [DatabaseBusyError("busy"), InterfaceError("closed"), reported("42P01", ProgrammingError), reported("25006", InternalError)]
)
async def test_a_database_that_refuses_writes_for_now_loses_no_report(
    database: DatabaseExecutor, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    written: list[Report] = []
    failures = iter([error])

    def write(batch: Sequence[Report]) -> None:
        for failure in failures:
            raise failure
        written.extend(batch)

    monkeypatch.setattr(report_writer, "RETRY_SECONDS", 0)
    monkeypatch.setattr(report_writer, "FLUSH_SECONDS", 0)
    writer = ReportWriter(database, write, registry=registry)
    await writer.start()
    writer.put(beat(0))
    async with asyncio.timeout(10):
        while not written:
            await asyncio.sleep(0)
    await writer.close()
    assert written == [beat(0)]


@pytest.mark.django_db(transaction=True)
async def test_one_bad_report_does_not_lose_the_others(database: DatabaseExecutor, registry: CollectorRegistry) -> None:
    row = await database.write(application)
    calls = [facts(row, number) for number in range(1, 5)]
    calls[1] = replace(calls[1], account_id="404")
    writer = ReportWriter(database, write_reports, registry=registry)
    for call in calls:
        writer.put(CallAdmitted(call, "p"))
    await writer.start()
    await writer.close()
    stored = await database.read(lambda: set(Call.objects.values_list("call_id", flat=True)))
    assert stored == {call.call_id for call in calls} - {calls[1].call_id}
    assert registry.get_sample_value("sipuri_records_refused_total", {"kind": "CallAdmitted"}) == 1


async def test_a_full_queue_drops_and_counts(
    database: DatabaseExecutor, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_writer, "MAX_QUEUED_REPORTS", 2)
    writer = ReportWriter(database, write_reports, registry=registry)
    for number in range(5):
        writer.put(beat(number))
    assert registry.get_sample_value("sipuri_records_dropped_total") == 3
