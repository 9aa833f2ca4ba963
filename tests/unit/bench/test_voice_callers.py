"""The callers of the bench and the call flow itself: what is heard is counted, and a call flow that stands still is found out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.voice.callers import Callers
from bench.voice.dialog import Target
from tests.unit.callflow.harness import CallflowHarness, running_callflow
from tests.unit.user_agent.link import KEY

CALLS = 3
STILL_SECONDS = 0.3
DOCUMENT = "<Response><Pause duration='60'/></Response>"


@pytest.fixture
def callers() -> Iterator[Callers]:
    made = Callers()
    yield made
    made.forget()


def turn_until(callers: Callers, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, callers.states()
        callers.turn()


async def until(callers: Callers, condition: Callable[[], bool]) -> None:
    """Let the callers go on in a thread, as the call flow runs in this one."""
    await asyncio.to_thread(turn_until, callers, condition)


async def calls_up(callers: Callers, flow: CallflowHarness, scenario: str) -> None:
    flow.documents["/start"] = DOCUMENT
    callers.place(Target(*flow.server.address, application_id="app-1", key=KEY.hex()), scenario, CALLS, rate=100)
    await until(callers, lambda: callers.states()["up"] == CALLS)
    callers.begin()


@pytest.mark.parametrize("scenario", ["play", "play, encrypted"])
async def test_what_the_callers_hear_is_counted(callers: Callers, tmp_path: Path, scenario: str) -> None:
    async with running_callflow(tmp_path) as flow:
        await calls_up(callers, flow, scenario)
        await until(callers, lambda: callers.end()["received"] >= 10 * CALLS)
        found = callers.end()
        assert (found["lost"], found["strays"], found["unsent"], found["unencrypted"]) == (0, 0, 0, 0)
        callers.hang_up()
        await until(callers, lambda: callers.states()["over"] == CALLS)
        await flow.idle()


async def test_a_call_flow_that_stands_still_leaves_a_gap_in_each_call(callers: Callers, tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as flow:
        await calls_up(callers, flow, "play")
        before = callers.end()["received"]
        going_on = asyncio.create_task(until(callers, lambda: callers.end()["received"] >= before + 30 * CALLS))
        await asyncio.sleep(0)
        time.sleep(STILL_SECONDS)  # Nothing of the call flow runs meanwhile.
        await going_on
        assert callers.end()["gaps"] >= CALLS


async def test_those_that_were_up_at_the_beginning_are_counted_alone(callers: Callers, tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as flow:
        await calls_up(callers, flow, "play")
        flow.documents["/start"] = "<Response><Pause duration='0.2'/></Response>"
        callers.place(Target(*flow.server.address, application_id="app-1", key=KEY.hex()), "play", 1, rate=100)
        await until(callers, lambda: callers.states()["cut"] == 1)
        assert callers.end()["cut"] == 0
        callers.begin()
        callers.hang_up()
        await until(callers, lambda: callers.states()["over"] == CALLS)
        assert callers.end()["cut"] == CALLS
        await flow.idle()


async def test_a_call_that_is_refused_or_ended_is_not_up(callers: Callers, tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as flow:
        target = Target(*flow.server.address, application_id="app-1", key=KEY.hex())
        stranger = Target(*flow.server.address)
        callers.place(stranger, "play", 1, rate=100)
        await until(callers, lambda: callers.states()["refused"] == 1)
        flow.documents["/start"] = "<Response><Pause duration='0.1'/></Response>"
        callers.place(target, "play", 1, rate=100)
        await until(callers, lambda: callers.states()["cut"] == 1)
        await flow.idle()
