"""The executor, against functions that fail as a database does."""

from __future__ import annotations

import asyncio

import pytest
from django.db import InterfaceError, OperationalError

from voiceapps.daemon import database as executors
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor


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
