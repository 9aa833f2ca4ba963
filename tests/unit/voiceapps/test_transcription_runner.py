"""The runner of transcriptions: one at a time, and each has an end within its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from voiceapps.choices import TranscriptionStatus
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.transcripts import Clip, NotTranscribedError, Transcript
from voiceapps.runners import loop_thread, table_work, transcriptions
from voiceapps.runners.transcriptions import TranscriptionRunner
from voiceapps.services.transcriptions import claims
from voiceapps.services.transcriptions.claims import Outcome, Planned

SAID = Transcript((Clip(0, "yes", 1.0, 0.0, 0.5),))


class Table:
    """The table of transcriptions, and the recogniser, as the runner sees them."""

    def __init__(self) -> None:
        self.waiting: list[Planned] = []
        self.stored: dict[str, Outcome] = {}
        self.given_back: set[str] = set()
        self.gone: set[str] = set()
        """Rows that somebody has deleted."""
        self.checks = 0
        self.ended_well = 0
        self.begun: list[Path] = []
        self.at_once = 0
        self.most_at_once = 0
        self.errors: list[Exception] = []
        self.released = asyncio.Event()

    def add(self, name: str, seconds: float = 60.0) -> None:
        self.waiting.append(Planned(name, datetime.now(UTC), Path(name), seconds))

    def claim(self) -> Planned | None:
        return self.waiting.pop(0) if self.waiting else None

    def store(self, planned: Planned, outcome: Outcome) -> None:
        if self.errors:
            raise self.errors.pop()
        self.stored[planned.transcription_id] = outcome

    def give_back(self, claimed: tuple[Planned, ...]) -> None:
        self.given_back |= {planned.transcription_id for planned in claimed} - set(self.stored)

    def still_mine(self, claimed: tuple[Planned, ...]) -> set[Planned]:
        self.checks += 1
        if self.errors:
            raise self.errors.pop()
        return {planned for planned in claimed if planned.transcription_id not in self.gone}

    async def transcribe(self, path: Path) -> Transcript:
        self.begun.append(path)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return await self._heard(path)
        finally:
            self.at_once -= 1

    async def _heard(self, path: Path) -> Transcript:
        match path.name:
            case "silent":
                await asyncio.Event().wait()
            case "slow to end":
                try:
                    await asyncio.Event().wait()
                finally:
                    await self.released.wait()
                    self.ended_well += 1
            case "broken":
                raise RuntimeError("a fault of ours")
            case "slow peer":
                raise TimeoutError("not our deadline")
            case "nobody":
                raise NotTranscribedError("Nobody listens.")
        await self.released.wait()
        return SAID


@pytest.fixture
async def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table()
    for name in ("claim", "store", "give_back", "still_mine"):
        monkeypatch.setattr(claims, name, getattr(table, name))
    for place in (table_work, loop_thread):
        monkeypatch.setattr(place, "RETRY_SECONDS", 0)
    return table


@asynccontextmanager
async def running(table: Table) -> AsyncIterator[TranscriptionRunner]:
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    runner = TranscriptionRunner(table.transcribe, database)
    task = asyncio.create_task(runner.run())
    runner.wake()
    yield runner
    runner.close()
    async with asyncio.timeout(10):
        await task
    await database.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_one_runs_at_a_time_and_then_the_next(table: Table) -> None:
    for name in ("a", "b", "c"):
        table.add(name)
    async with running(table) as runner:
        await until(lambda: bool(table.begun))
        runner.wake()
        # Its one thread answers after whatever else the runner has asked.
        await runner._database.read(bool)
        assert len(table.waiting) == 2
        table.released.set()
        await until(lambda: len(table.stored) == 3)
    assert table.stored == {"a": SAID, "b": SAID, "c": SAID}
    assert table.most_at_once == 1
    assert not table.given_back


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("silent", TranscriptionStatus.TIMEOUT),
        ("broken", TranscriptionStatus.ERROR),
        ("slow peer", TranscriptionStatus.ERROR),
        ("nobody", TranscriptionStatus.ERROR),
    ],
)
async def test_whatever_happens_it_has_an_end_and_the_next_one_runs(table: Table, name: str, status: TranscriptionStatus) -> None:
    table.add(name, 0.0 if name == "silent" else 60.0)
    table.add("b")
    table.released.set()
    async with running(table):
        await until(lambda: len(table.stored) == 2)
    assert table.stored == {name: status, "b": SAID}


async def test_what_runs_when_the_worker_ends_is_given_back(table: Table) -> None:
    table.add("a")
    async with running(table):
        await until(lambda: bool(table.begun))
    assert table.given_back == {"a"}
    assert not table.stored
    assert table.at_once == 0


@pytest.mark.parametrize("errors", [0, 3])
async def test_work_whose_row_is_gone_is_ended_and_the_next_one_runs(table: Table, monkeypatch: pytest.MonkeyPatch, errors: int) -> None:
    monkeypatch.setattr(transcriptions, "CHECK_SECONDS", 0)
    table.add("silent")
    table.add("b")
    async with running(table):
        await until(lambda: bool(table.begun))
        table.errors = [OperationalError("away")] * errors
        table.gone.add("silent")
        await until(lambda: table.begun == [Path("silent"), Path("b")])
        table.released.set()
        await until(lambda: table.stored == {"b": SAID})
    assert table.most_at_once == 1
    assert not table.given_back


async def test_work_whose_row_is_there_goes_on(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcriptions, "CHECK_SECONDS", 0)
    table.add("a")
    table.gone.add("another")
    async with running(table):
        await until(lambda: table.checks > 3)
        assert table.at_once == 1
        table.released.set()
        await until(lambda: table.stored == {"a": SAID})


async def test_work_that_is_ending_is_not_disturbed_in_that(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcriptions, "CHECK_SECONDS", 0)
    table.add("slow to end")
    table.gone.add("slow to end")
    async with running(table):
        await until(lambda: table.checks > 3)
        table.released.set()
        await until(lambda: not table.at_once)
    assert (table.ended_well, table.stored) == (1, {})


async def test_a_database_that_is_away_loses_no_end(table: Table) -> None:
    table.add("a")
    table.errors = [OperationalError("away")] * 3
    table.released.set()
    async with running(table):
        await until(lambda: table.stored == {"a": SAID})
