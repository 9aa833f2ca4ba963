"""The door against a real database that is sometimes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from voiceapps import door as doors
from voiceapps.door import DatabaseDoor, DoorBusyError, RecordWriter
from voiceapps.rules.records import NodeBeat, Record


@pytest.fixture
async def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def door(registry: CollectorRegistry) -> AsyncIterator[DatabaseDoor]:
    door = DatabaseDoor(registry=registry)
    yield door
    await door.close()


def beat(number: int) -> NodeBeat:
    return NodeBeat("callflow", f"n{number}", 0.0, "up", "", "", number, "")


async def test_a_read_is_tried_twice(door: DatabaseDoor) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("the server went away")
        return "there"

    assert await door.read(flaky) == "there"


async def test_a_write_is_not(door: DatabaseDoor) -> None:
    def broken() -> None:
        raise OperationalError("the server went away")

    with pytest.raises(OperationalError):
        await door.write(broken)


async def test_the_queue_is_bounded(door: DatabaseDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_QUEUED_JOBS", 2)
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result()

    waiting = [asyncio.create_task(door.read(wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(DoorBusyError):
        await door.read(wait)
    held.set()
    await asyncio.gather(*waiting)


async def test_records_survive_a_database_that_is_away_and_keep_their_order(
    door: DatabaseDoor, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Record] = []
    failures = iter([OperationalError("locked"), OperationalError("locked")])

    def write(batch: list[Record]) -> None:
        for error in failures:
            raise error
        written.extend(batch)

    monkeypatch.setattr(doors, "write_records", write)
    monkeypatch.setattr(doors, "RETRY_SECONDS", 0)
    monkeypatch.setattr(doors, "FLUSH_SECONDS", 0)
    writer = RecordWriter(door, registry=registry)
    await writer.start()
    for number in range(3):
        writer.put(beat(number))
    while len(written) < 3:
        await asyncio.sleep(0)
    writer.put(beat(3))
    await writer.close()
    assert written == [beat(number) for number in range(4)]


async def test_a_full_queue_drops_and_counts(door: DatabaseDoor, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_QUEUED_RECORDS", 2)
    writer = RecordWriter(door, registry=registry)
    for number in range(5):
        writer.put(beat(number))
    assert registry.get_sample_value("sipuri_records_dropped_total") == 3
