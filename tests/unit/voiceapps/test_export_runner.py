"""The writer of files in a worker's process: a part at a time, an end for each, and nothing left behind when the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.diagnosis.call_filters import CallFilter
from voiceapps.runners import exports as module
from voiceapps.runners import loop_thread, table_work
from voiceapps.runners.exports import FAILED, ExportRunner
from voiceapps.services.diagnosis import exports
from voiceapps.services.diagnosis.call_files import Wanted
from voiceapps.services.diagnosis.exports import Claimed, LostError


class Table:
    """The table of files, and the writing of them, as the runner sees them."""

    def __init__(self) -> None:
        self.waiting = [Claimed(uuid4(), 1, Wanted(CallFilter(), "csv", shows_personal=True)) for _ in range(3)]
        self.parts = 3
        self.error: Exception | None = None
        self.stored: dict[Claimed, str] = {}
        self.given_back: set[Claimed] = set()
        self.written: list[Claimed] = []
        self.all_stored = asyncio.Event()
        self.is_endless = False

    def claim(self, places: int) -> list[Claimed]:
        claimed, self.waiting = self.waiting[:places], self.waiting[places:]
        return claimed

    def store(self, claimed: Claimed, problem: str) -> None:
        self.stored[claimed] = problem

    def give_back(self, claims: Sequence[Claimed]) -> None:
        self.given_back |= set(claims) - self.stored.keys()

    def begin(self, claimed: Claimed) -> Table.Writing:
        return Table.Writing(self, claimed)

    class Writing:
        """A file of so many parts."""

        def __init__(self, table: Table, claimed: Claimed) -> None:
            self.table, self.claimed, self.left = table, claimed, table.parts

        def go_on(self) -> bool:
            if self.table.error:
                raise self.table.error
            self.table.written.append(self.claimed)
            self.left -= 0 if self.table.is_endless else 1
            return self.left > 0


@pytest.fixture
async def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table()
    for name in ("claim", "store", "give_back"):
        monkeypatch.setattr(exports, name, getattr(table, name))
    monkeypatch.setattr(module, "Writing", table.begin)
    for place in (table_work, loop_thread):
        monkeypatch.setattr(place, "RETRY_SECONDS", 0)
    return table


@asynccontextmanager
async def running() -> AsyncIterator[ExportRunner]:
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    runner = ExportRunner(database)
    task = asyncio.create_task(runner.run())
    runner.wake()
    yield runner
    runner.close()
    async with asyncio.timeout(10):
        await task
    await database.close()


async def stored(table: Table, count: int) -> None:
    async with asyncio.timeout(10):
        while len(table.stored) < count:
            await asyncio.sleep(0)


async def test_files_are_written_part_by_part_a_few_at_a_time(table: Table) -> None:
    first, second, third = table.waiting
    async with running():
        await stored(table, 3)
    assert table.stored == {first: "", second: "", third: ""}
    assert len(table.written) == 9
    # Two are written side by side, and the third one when there is a place.
    assert set(table.written[:4]) == {first, second}
    assert table.given_back == set()


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (LostError(), ""),
        (OSError(28, "No space left on device"), "The file could not be written: No space left on device."),
        (RuntimeError("a fault of ours"), FAILED),
    ],
)
async def test_whatever_happens_a_file_has_an_end(table: Table, error: Exception, problem: str) -> None:
    table.error = error
    async with running():
        await stored(table, 3)
    assert set(table.stored.values()) == {problem}


async def test_a_process_that_ends_gives_back_what_is_not_written(table: Table) -> None:
    table.is_endless = True
    first, second, _ = table.waiting
    async with running():
        async with asyncio.timeout(10):
            while len(set(table.written)) < 2:
                await asyncio.sleep(0)
    assert table.given_back == {first, second}
    assert table.stored == {}
