"""The writer of reports, against a database that is away, refuses, or has what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import DatabaseError, DataError, InterfaceError, InternalError, OperationalError, ProgrammingError
from prometheus_client import CollectorRegistry

from tests.unit.voiceapps.builders import application, ended, facts
from voiceapps.daemon import lanes, report_writer
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.daemon.ledger import Ledger
from voiceapps.daemon.report_writer import ReportWriter
from voiceapps.models import Call, CallEvent, RecordMark
from voiceapps.rules.reports import Batch, CallAdmitted, CallFacts, LadderMessage, NodeBeat, RecordingStored, Report
from voiceapps.services.reports import forget_boots, write_batch

CIPHER = Fernet(Fernet.generate_key())
CALL = CallFacts("c-1", "app", "9900000", "a@b", "sip:a@b", "sip:c@d", "203.0.113.9", 5060, None, 1.5)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_writer, "RETRY_SECONDS", 0)
    monkeypatch.setattr(report_writer, "FLUSH_SECONDS", 0)


class Kept:
    """Keeps what is written; `failures` are raised first, one a batch."""

    def __init__(self, directory: Path, *failures: Exception) -> None:
        self.written: list[Report] = []
        self.batches: list[Batch] = []
        self.forgotten: list[tuple[str, frozenset[str]]] = []
        self.refuses: Callable[[Report], Exception | None] = lambda _: None
        self._failures = iter(failures)
        self.ledger = Ledger(self._write, self._forget, directory, CIPHER)

    def _write(self, batch: Batch) -> None:
        for failure in self._failures:
            raise failure
        for report in batch.reports:
            if (error := self.refuses(report)) is not None:
                raise error
        self.batches.append(batch)
        self.written += batch.reports

    def _forget(self, node: str, living: Collection[str]) -> None:
        self.forgotten.append((node, frozenset(living)))


def admitted(number: int) -> CallAdmitted:
    return CallAdmitted(replace(CALL, call_id=f"c-{number}"), "p")


def message(number: int) -> LadderMessage:
    return LadderMessage("c-1", float(number), "caller", "a:1", "b:2", "", "")


def beat(number: int) -> NodeBeat:
    return NodeBeat("callflow", "n", 0.0, "up", "", "", number, "")


def reported(sqlstate: str, kind: type[DatabaseError]) -> DatabaseError:
    """Return an error as Django raises it for one that PostgreSQL reported."""
    cause, error = Exception(), kind("reported")
    cause.sqlstate = sqlstate  # type: ignore[attr-defined]  # as psycopg's errors have it
    error.__cause__ = cause
    return error


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("locked"),
        DatabaseBusyError("busy"),
        InterfaceError("closed"),
        reported("42P01", ProgrammingError),
        reported("25006", InternalError),
    ],
)
async def test_a_database_that_takes_nothing_for_now_loses_no_report(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path, error: Exception
) -> None:
    kept = Kept(tmp_path, error, error)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    await writer.start()
    for number in range(3):
        writer.put(admitted(number))
        writer.put(message(number))
    await until(lambda: len(kept.written) == 6)
    writer.put(admitted(3))
    await writer.close()
    assert kept.written == [*map(admitted, range(3)), *map(message, range(3)), admitted(3)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError("bad"), AttributeError("bad"), DataError("bad"), ProgrammingError("no adapter")])
async def test_a_bad_report_is_discarded_and_the_others_are_written(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path, error: Exception
) -> None:
    kept = Kept(tmp_path)
    kept.refuses = lambda report: error if report in (admitted(2), message(0)) else None
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    for number in range(5):
        writer.put(admitted(number))
        writer.put(message(number))
    await writer.start()
    await writer.close()
    assert kept.written == [*map(admitted, (0, 1, 3, 4)), *map(message, range(1, 5))]
    assert registry.get_sample_value("sipuri_records_refused_total", {"kind": "CallAdmitted"}) == 1
    assert registry.get_sample_value("sipuri_records_refused_total", {"kind": "LadderMessage"}) == 1


async def test_calls_do_not_wait_behind_messages_and_beats_behind_nothing(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path
) -> None:
    kept = Kept(tmp_path)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    for report in (message(1), message(2), admitted(1), beat(1), beat(2)):
        writer.put(report)
    await writer.start()
    await until(lambda: len(kept.written) == 4)
    assert kept.written == [beat(2), admitted(1), message(1), message(2)]
    await writer.close()


async def test_what_comes_during_a_write_waits_for_the_next_one(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path
) -> None:
    kept = Kept(tmp_path)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    later: Iterator[Report] = iter([admitted(2), message(3), beat(4)])

    def come(_: Report) -> None:
        for report in later:
            writer.put(report)
            return

    kept.refuses = come
    writer.put(admitted(0))
    writer.put(message(1))
    assert await writer._flush()
    assert kept.written == [admitted(0), message(1)]
    assert writer._wake.is_set()
    assert await writer._flush()
    # Beats never wait.
    assert kept.written[2:] == [admitted(2), beat(4), message(3)]
    await writer.close()


async def test_the_last_beat_comes_after_the_last_calls(database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    for report in (beat(1), admitted(1)):
        writer.put(report)
    await writer.start()
    await writer.close()
    assert kept.written == [admitted(1), beat(1)]


async def test_messages_never_take_the_room_of_calls(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MAX_QUEUED_REPORTS", 2)
    kept = Kept(tmp_path)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    for number in range(5):
        writer.put(message(number))
        writer.put(admitted(number))
    assert registry.get_sample_value("sipuri_records_dropped_total") == 3
    await writer.start()
    await writer.close()
    assert kept.written == [*map(admitted, range(5)), message(0), message(1)]


async def test_what_a_boot_left_is_written_before_the_next_one_is_announced(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path
) -> None:
    away = Kept(tmp_path, *[OperationalError("away")] * 9)
    killed = ReportWriter(database, away.ledger, "n", registry=CollectorRegistry())
    for number in range(3):
        killed.put(admitted(number))
    await killed.start()
    await killed.close()
    assert away.written == []
    kept = Kept(tmp_path)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    writer.put(beat(1))
    writer.put(admitted(3))
    await writer.start()
    await until(lambda: len(kept.written) == 5)
    assert kept.written[:3] == [admitted(0), admitted(1), admitted(2)]
    assert kept.written.index(beat(1)) > 2
    first, second = (batch.origin for batch in kept.batches if batch.origin)
    assert first.node == second.node == "n"
    assert first.boot < second.boot
    await until(lambda: kept.forgotten)
    assert kept.forgotten == [("n", frozenset({second.boot}))]
    await writer.close()
    assert list(tmp_path.iterdir()) == []


async def test_the_journals_of_other_nodes_and_of_a_boot_that_lives_are_left_alone(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path
) -> None:
    other = Kept(tmp_path)
    ones = [ReportWriter(database, other.ledger, node, registry=CollectorRegistry()) for node in ("n", "n.1", "n/2")]
    for one in ones:
        one.put(admitted(1))
    kept = Kept(tmp_path)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    writer.put(beat(1))
    await writer.start()
    await writer.close()
    assert kept.written == [beat(1)]
    assert len(kept.forgotten[0][1]) == 2
    for one in ones:
        await one.start()
        await one.close()
    assert other.written == [admitted(1)] * 3


async def test_text_that_is_no_unicode_is_refused_by_name(database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    writer.put(CallAdmitted(replace(CALL, from_uri="sip:\udcff@a"), "p"))
    writer.put(admitted(1))
    await writer.start()
    await writer.close()
    assert kept.written == [admitted(1)]
    assert registry.get_sample_value("sipuri_records_refused_total", {"kind": "CallAdmitted"}) == 1


@pytest.mark.django_db(transaction=True)
async def test_one_bad_report_does_not_lose_the_others(database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path) -> None:
    row = await database.write(application)
    calls = [facts(row, number) for number in range(1, 5)]
    calls[1] = replace(calls[1], account_id="404")
    writer = ReportWriter(database, Ledger(write_batch, forget_boots, tmp_path, CIPHER), "n", registry=registry)
    for call in calls:
        writer.put(CallAdmitted(call, "p"))
    await writer.start()
    await writer.close()
    stored = await database.read(lambda: set(Call.objects.values_list("call_id", flat=True)))
    assert stored == {call.call_id for call in calls} - {calls[1].call_id}
    assert registry.get_sample_value("sipuri_records_refused_total", {"kind": "CallAdmitted"}) == 1


@pytest.mark.django_db(transaction=True)
async def test_a_commit_whose_answer_was_lost_is_not_written_twice(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path
) -> None:
    row = await database.write(application)
    lost = iter([OperationalError("the connection broke after the commit")] * 2)

    def write(batch: Batch) -> None:
        write_batch(batch)
        for error in lost:
            raise error

    writer = ReportWriter(database, Ledger(write, forget_boots, tmp_path, CIPHER), "n", registry=registry)
    call = facts(row)
    writer.put(CallAdmitted(call, "p"))
    for number in range(3):
        writer.put(replace(message(number), call_id=call.call_id))
    writer.put(ended(call))
    await writer.start()
    await until(lambda: writer._next() is None)
    await writer.close()
    assert await database.read(CallEvent.objects.count) == 3
    assert await database.read(lambda: list(RecordMark.objects.values_list("lane", "number").order_by("lane"))) == [
        ("calls", 2),
        ("traces", 3),
    ]


@pytest.mark.django_db(transaction=True)
async def test_a_new_boot_forgets_the_marks_of_the_old_ones(
    database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path
) -> None:
    row = await database.write(application)
    for number in range(3):
        ledger = Ledger(write_batch, forget_boots, tmp_path, CIPHER)
        writer = ReportWriter(database, ledger, "n", registry=CollectorRegistry())
        writer.put(CallAdmitted(facts(row, number), "p"))
        await writer.start()
        await writer.close()
        assert await database.read(RecordMark.objects.count) == 1


async def test_a_recording_is_journalled(database: DatabaseExecutor, registry: CollectorRegistry, tmp_path: Path) -> None:
    kept = Kept(tmp_path, *[OperationalError("away")] * 9)
    writer = ReportWriter(database, kept.ledger, "n", registry=registry)
    stored = RecordingStored(CALL, "r-1", "/var/r-1.wav", 1.0, 2.0, 1000, 1, "wav")
    writer.put(stored)
    (journal,) = tmp_path.iterdir()
    assert b'"RecordingStored"' in journal.read_bytes()
    await writer.start()
    await writer.close()
    assert journal.exists()
