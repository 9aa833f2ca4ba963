from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from sipproxy.adapters import directory as module
from sipproxy.adapters.directory import Directory, Snapshots
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Limits


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


async def test_an_application_that_is_unreadable_is_no_answer_to_those_who_ask_for_it(
    database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = AdmissionSnapshot("1", "9900000", True, frozenset(), True, (), (), ("MD5",), (), Limits(), Limits(), CallCount())
    lost = replace(well, unreadable=True)
    monkeypatch.setattr(module, "admission_snapshots", lambda *_, **__: {"lost": lost, "well": well})
    answers = asyncio.Queue[Snapshots | None]()
    directory = Directory(database, node="sipproxy-test", registry=CollectorRegistry())
    for users in (["lost"], ["Well"], ["well", "lost"]):
        directory.ask(users, answers.put_nowait)
    async with asyncio.timeout(10):
        assert [await answers.get() for _ in range(3)] == [None, {"Well": well}, None]
