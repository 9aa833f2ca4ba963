"""The runner of simulated calls: none of them keeps another one waiting, and none is left without an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from tests.unit.engine.driver import FACTS
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.trials.call_simulation import Script, SimulatedCall
from voiceapps.runners import loop_thread, table_work
from voiceapps.runners.simulations import FAILED, PLACES, SimulationRunner
from voiceapps.selectors import CallApplication
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import Planned

APPLICATION = CallApplication("a", "9900000", "http://h/", "POST", "", "POST", "", "", "", "", "", 5.0, 30, 25, False)
WELL = SimulatedCall((), None)


class Table:
    """The table of simulations, and the calls, as the runner sees them."""

    def __init__(self) -> None:
        self.waiting = [Planned(uuid4(), APPLICATION, FACTS, Script.parse({})) for _ in range(PLACES + 2)]
        self.stored: dict[UUID, SimulatedCall] = {}
        self.given_back: set[UUID] = set()
        self.begun: list[UUID] = []
        self.errors: list[Exception] = []
        self.released = asyncio.Event()

    def claim(self, places: int) -> list[Planned]:
        claimed, self.waiting = self.waiting[:places], self.waiting[places:]
        return claimed

    def store(self, number: UUID, call: SimulatedCall) -> None:
        if self.errors:
            raise self.errors.pop()
        self.stored[number] = call

    def give_back(self, numbers: tuple[UUID, ...]) -> None:
        self.given_back |= set(numbers) - set(self.stored)

    async def simulate(self, planned: Planned) -> SimulatedCall:
        self.begun.append(planned.simulation_id)
        await self.released.wait()
        if planned.simulation_id == self.begun[0]:
            raise RuntimeError("a fault of ours")
        return WELL


@pytest.fixture
async def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table()
    for name in ("claim", "store", "give_back"):
        monkeypatch.setattr(simulations, name, getattr(table, name))
    for place in (table_work, loop_thread):
        monkeypatch.setattr(place, "RETRY_SECONDS", 0)
    return table


@asynccontextmanager
async def running(table: Table) -> AsyncIterator[SimulationRunner]:
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    runner = SimulationRunner(table.simulate, database)
    task = asyncio.create_task(runner.run())
    yield runner
    runner.close()
    async with asyncio.timeout(10):
        await task
    await database.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_as_many_run_as_there_are_places_and_then_the_others(table: Table) -> None:
    async with running(table) as runner:
        runner.wake()
        await until(lambda: len(table.begun) == PLACES)
        assert len(table.waiting) == 2
        table.released.set()
        await until(lambda: len(table.stored) == PLACES + 2)
    assert table.stored[table.begun[0]].problem == FAILED
    assert [table.stored[number] for number in table.begun[1:]] == [WELL] * (PLACES + 1)
    assert not table.given_back


async def test_what_runs_when_the_worker_ends_is_given_back(table: Table) -> None:
    async with running(table) as runner:
        runner.wake()
        await until(lambda: len(table.begun) == PLACES)
    assert table.given_back == set(table.begun)
    assert not table.stored


async def test_a_database_that_is_away_loses_no_end(table: Table) -> None:
    table.errors = [OperationalError("away")] * 3
    table.released.set()
    async with running(table) as runner:
        runner.wake()
        await until(lambda: len(table.stored) == PLACES + 2)


async def test_a_claim_that_fails_is_tried_again(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = 0

    def claim(places: int) -> list[Planned]:
        nonlocal claims
        claims += 1
        if claims == 1:
            raise OperationalError("away")
        return table.claim(places)

    monkeypatch.setattr(simulations, "claim", claim)
    async with running(table) as runner:
        runner.wake()
        await until(lambda: len(table.begun) == PLACES)
        assert not runner.is_stuck()
