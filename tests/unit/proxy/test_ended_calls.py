"""The proxy's core, its adapter and the database: a call that ended elsewhere no longer counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from sipproxy.adapters import ended_calls
from sipproxy.adapters.ended_calls import EndedCalls
from sipproxy.core.limits import SETTLED_SECONDS
from tests.unit.proxy.harness import URI, ProxyHarness
from tests.unit.voiceapps.builders import application, ended, facts
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.reports import CallAdmitted, CallFacts
from voiceapps.services.reports import write_reports


@pytest.fixture
async def database() -> AsyncIterator[DatabaseExecutor]:
    database = DatabaseExecutor(registry=CollectorRegistry())
    yield database
    await database.close()


@pytest.fixture
def harness() -> ProxyHarness:
    """A harness whose two callers never hang up."""
    harness = ProxyHarness()
    harness.service()
    for port in (5080, 5082):
        caller = harness.caller(("198.51.100.7", port))
        caller.talk_seconds = None
        caller.call(URI, harness.now)
    harness.run(SETTLED_SECONDS + 5)
    assert harness.core.load.calls == 2
    return harness


def adapter(harness: ProxyHarness, database: DatabaseExecutor) -> EndedCalls:
    return EndedCalls(database, settled=lambda: harness.core.settled_calls(harness.now), forget=harness.core.forget_calls)


async def _write(database: DatabaseExecutor, harness: ProxyHarness) -> list[CallFacts]:
    """Put the harness's calls into the database and end the first one there, as a sweeper does when a node dies."""

    def write() -> list[CallFacts]:
        row = application()
        calls = [replace(facts(row), call_id=record.call.call_id) for record in harness.admitted]
        write_reports([*(CallAdmitted(call, "sipproxy-test") for call in calls), ended(calls[0])])
        return calls

    return await database.write(write)


@pytest.mark.django_db(transaction=True)
async def test_calls_that_the_database_knows_as_ended_are_forgotten(harness: ProxyHarness, database: DatabaseExecutor) -> None:
    _, second = await _write(database, harness)
    await adapter(harness, database).refresh()
    assert harness.core.settled_calls(harness.now) == (second.call_id,)


async def test_an_unavailable_database_ends_no_call(
    harness: ProxyHarness, database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_call_ids: object) -> frozenset[str]:
        raise OperationalError("the server went away")

    monkeypatch.setattr(ended_calls, "ended_calls", broken)
    await adapter(harness, database).refresh()
    assert harness.core.load.calls == 2


async def test_it_asks_by_itself_until_it_is_stopped(
    harness: ProxyHarness, database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    def forget(call_ids: Iterable[str]) -> None:
        harness.core.forget_calls(call_ids)
        asked.set()

    monkeypatch.setattr(ended_calls, "ended_calls", frozenset)
    monkeypatch.setattr(ended_calls, "REFRESH_SECONDS", 0)
    watcher = EndedCalls(database, settled=lambda: harness.core.settled_calls(harness.now), forget=forget)
    watcher.start()
    async with asyncio.timeout(10):
        await asked.wait()
    watcher.stop()
    assert harness.core.load.calls == 0
