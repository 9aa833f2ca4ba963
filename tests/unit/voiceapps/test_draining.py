from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from voiceapps.daemon import draining as module
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.daemon.draining import Draining


@pytest.fixture
async def database() -> AsyncIterator[DatabaseExecutor]:
    database = DatabaseExecutor(registry=CollectorRegistry())
    yield database
    await database.close()


class Daemon:
    """What one daemon is told; `wanted` stands for its row."""

    def __init__(self, database: DatabaseExecutor) -> None:
        self.wanted: bool | Exception = False
        self.told: list[bool] = []
        self.asked: list[str] = []
        self.faults: list[Exception] = []
        """What it raises when it is told, once each."""
        self.draining = Draining(database, "node", self._read, self._hear)

    def _read(self, name: str) -> bool:
        self.asked.append(name)
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted

    def _hear(self, drains: bool) -> None:
        if self.faults:
            raise self.faults.pop()
        self.told.append(drains)

    async def read(self, wanted: bool | Exception) -> None:
        self.wanted = wanted
        await self.draining.refresh()


@pytest.fixture
def daemon(database: DatabaseExecutor) -> Daemon:
    return Daemon(database)


async def test_it_drains_and_resumes_as_the_row_says(daemon: Daemon) -> None:
    for wanted in (False, True, True, False, False, True):
        await daemon.read(wanted)
        assert daemon.draining.on is wanted
    assert daemon.told == [True, False, True]
    assert set(daemon.asked) == {"node"}


async def test_each_change_of_the_row_has_a_line(daemon: Daemon) -> None:
    with capture_logs() as lines:
        for wanted in (False, True, True, False):
            await daemon.read(wanted)
    assert [line.get("state") for line in lines] == ["draining", "up"]


async def test_a_process_that_is_to_end_is_never_brought_back(daemon: Daemon) -> None:
    daemon.draining.end()
    await daemon.read(True)
    await daemon.read(False)
    assert daemon.draining.on
    assert daemon.told == [True]


async def test_a_draining_process_that_is_to_end_hears_it_once(daemon: Daemon) -> None:
    await daemon.read(True)
    daemon.draining.end()
    await daemon.read(False)
    assert daemon.draining.on
    assert daemon.told == [True]


@pytest.mark.parametrize("wanted", [True, False])
async def test_an_unavailable_database_changes_nothing(daemon: Daemon, wanted: bool) -> None:
    await daemon.read(wanted)
    await daemon.read(OperationalError("the server went away"))
    assert daemon.draining.on is wanted


async def test_it_asks_by_itself_until_it_is_stopped(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0)
    daemon.draining.start()
    daemon.wanted = True
    await _until(lambda: daemon.told == [True])
    daemon.wanted = False
    await _until(lambda: daemon.told == [True, False])
    daemon.draining.stop()


async def test_an_unexpected_error_neither_ends_the_asking_nor_loses_a_change(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0)
    daemon.faults = [RuntimeError("the daemon cannot drain now")]
    daemon.wanted = ValueError("the row holds a NUL")
    daemon.draining.start()
    await _until(lambda: len(daemon.asked) > 1)
    daemon.wanted = True
    await _until(lambda: daemon.told == [True])
    daemon.draining.stop()
    assert daemon.faults == []


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)
