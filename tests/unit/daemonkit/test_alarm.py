from __future__ import annotations

import asyncio
import time

import pytest

from daemonkit import alarm as module
from daemonkit.alarm import Alarm


class Calls:
    """An alarm that keeps the times of its calls."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.called = asyncio.Event()
        self.faults: list[Exception] = []
        self.sets: float | None = None
        self.alarm = Alarm(self._on_alarm)

    def due(self) -> float | None:
        return self.alarm.when

    def _on_alarm(self, now: float) -> None:
        self.times.append(now)
        self.called.set()
        if self.sets is not None:
            self.alarm.set(self.sets)
        if self.faults:
            raise self.faults.pop()

    async def wait(self) -> float:
        await asyncio.wait_for(self.called.wait(), 5)
        self.called.clear()
        return self.times[-1]


async def test_it_calls_once_and_never_before_its_time() -> None:
    calls = Calls()
    due = time.monotonic() + 0.02
    calls.alarm.set(due)
    assert calls.due() == due
    assert await calls.wait() >= due
    assert calls.due() is None
    await asyncio.sleep(0.03)
    assert len(calls.times) == 1


async def test_a_time_that_is_past_is_now() -> None:
    calls = Calls()
    calls.alarm.set(time.monotonic() - 10)
    before = time.monotonic()
    assert await calls.wait() >= before


async def test_setting_it_again_moves_it() -> None:
    calls = Calls()
    now = time.monotonic()
    calls.alarm.set(now + 0.01)
    calls.alarm.set(now + 0.06)
    assert await calls.wait() >= now + 0.06
    assert len(calls.times) == 1


async def test_it_rests_where_nothing_is_due() -> None:
    calls = Calls()
    calls.alarm.set(time.monotonic() + 0.01)
    calls.alarm.set(None)
    assert calls.due() is None
    await asyncio.sleep(0.03)
    assert calls.times == []


async def test_it_stops_for_good() -> None:
    calls = Calls()
    calls.alarm.set(time.monotonic() + 0.01)
    calls.alarm.stop()
    calls.alarm.set(time.monotonic() + 0.01)
    calls.alarm.set_no_later(time.monotonic() + 0.01)
    assert calls.due() is None
    await asyncio.sleep(0.03)
    assert calls.times == []


async def test_it_may_be_set_from_its_own_call() -> None:
    times: list[float] = []
    done = asyncio.Event()

    def on_alarm(now: float) -> None:
        times.append(now)
        if len(times) < 3:
            alarm.set(now + 0.001)
        else:
            done.set()

    alarm = Alarm(on_alarm)
    alarm.set(time.monotonic())
    await asyncio.wait_for(done.wait(), 5)
    assert times == sorted(times)


async def test_set_no_later_moves_it_only_to_an_earlier_time() -> None:
    calls = Calls()
    now = time.monotonic()
    calls.alarm.set_no_later(None)
    assert calls.due() is None
    calls.alarm.set_no_later(now + 10)
    calls.alarm.set_no_later(now + 20)
    calls.alarm.set_no_later(None)
    assert calls.due() == now + 10
    calls.alarm.set_no_later(now + 0.01)
    assert calls.due() == now + 0.01
    assert await calls.wait() >= now + 0.01
    assert calls.due() is None


async def test_what_was_due_when_a_call_failed_is_due_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    calls, told = Calls(), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    fault = ValueError("a fault of ours")
    calls.faults = [fault]
    calls.alarm.set(time.monotonic())
    async with asyncio.timeout(5):
        while len(calls.times) < 2:
            await asyncio.sleep(0)
    assert told == [fault]
    assert calls.due() is None


async def test_a_call_that_fails_after_it_set_a_time_keeps_it() -> None:
    calls = Calls()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    due = time.monotonic() + 0.5
    calls.sets, calls.faults = due, [ValueError("a fault of ours")]
    calls.alarm.set(time.monotonic())
    await calls.wait()
    assert calls.due() == due
    calls.alarm.stop()
