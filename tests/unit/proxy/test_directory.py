from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from sipproxy.adapters import directory as module
from sipproxy.adapters.directory import Directory, Snapshots
from voiceapps.daemon.database import DatabaseExecutor


@pytest.fixture
async def database() -> AsyncIterator[DatabaseExecutor]:
    database = DatabaseExecutor(registry=CollectorRegistry())
    yield database
    await database.close()


@pytest.mark.parametrize("error", [OperationalError("the server went away"), ValueError("a text with a NUL")])
async def test_whatever_a_query_raises_each_invite_is_answered(
    database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> Snapshots:
        raise error

    monkeypatch.setattr(module, "admission_snapshots", broken)
    registry, answers = CollectorRegistry(), asyncio.Queue[Snapshots | None]()
    directory = Directory(database, node="sipproxy-test", registry=registry)
    for _ in range(2):
        directory.ask(["user"], answers.put_nowait)
    async with asyncio.timeout(10):
        assert [await answers.get() for _ in range(2)] == [None, None]
    assert registry.get_sample_value("sipuri_directory_failures_total") == 1
