"""One line of the table: calls, a fault in their midst, and what is left when they are over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from tests.chaos.callers import Callers, users_of
from tests.chaos.faults import Fault
from tests.chaos.machine import System
from tests.chaos.verdict import Allowed, Cost, Row, Seen, cost
from tests.support.backend import TestBackend
from tests.support.netns import inside

SETTLE_SECONDS = 60.0
"""The time for retries of webhooks and for sweeps, after the last call."""
ROWS = """
from voiceapps.models import Call, OpenCall
epoch = lambda when: when.timestamp() if when else None
rows = Call.objects.filter(from_uri__contains="sip:{users}")
columns = ("from_uri", "call_id", "state", "answered_at", "ended_at", "end_reason")
result = {{
    "rows": [
        [uri, call_id, state != "disconnected", epoch(answered_at), epoch(ended_at), reason]
        for uri, call_id, state, answered_at, ended_at, reason in rows.values_list(*columns)
    ],
    "open": OpenCall.objects.count(),
}}"""


@dataclass(frozen=True, slots=True)
class Times:
    """How long a line takes, in seconds: before the fault, the fault itself, after it; and how long its calls are."""

    before: float
    fault: float
    after: float
    calls: tuple[float, float]
    rate: float


FULL = Times(before=15, fault=10, after=35, calls=(5.0, 15.0), rate=5.0)
SHORT = Times(before=1, fault=2, after=2, calls=(1.0, 2.5), rate=3.0)


async def run(system: System, backend: TestBackend, fault: Fault, allowed: Allowed, times: Times, first: int) -> Cost:
    """Place calls, do the harm meanwhile, wait until all is settled, and return what it cost."""
    backend.events.clear()
    callers = Callers(system.application, system.place, rate=times.rate, seconds=times.calls, first=first)
    placing = asyncio.create_task(asyncio.to_thread(_place, callers, system.home, times.before + times.fault + times.after))
    await asyncio.sleep(times.before)
    began_at = time.time()
    await asyncio.to_thread(fault, system, times.fault)
    ended_at = time.time()
    await placing
    is_well = await _becomes(system.is_well, 30.0)
    seen = await asyncio.to_thread(_settled, system, backend, callers, (began_at, ended_at), is_well)
    return cost(seen, allowed)


def _place(callers: Callers, home: str, seconds: float) -> None:
    """Place calls, on a thread that may be on another host."""
    with inside(home) if home else nullcontext():
        asyncio.run(callers.run(seconds))


async def _becomes(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.5)
    return True


def _settled(system: System, backend: TestBackend, callers: Callers, fault: tuple[float, float], is_well: bool) -> Seen:
    """Return what is seen when nothing is open any more and every webhook has come, or when the time for that is over."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        seen = _seen(system, backend, callers, fault, is_well)
        told = set(seen.disconnected)
        is_over = not seen.open_rows and not any(row.is_open for row in seen.rows) and {row.call_id for row in seen.rows} <= told
        if is_over or time.monotonic() > deadline:
            return seen
        time.sleep(0.5)


def _who(uri: str) -> tuple[str, int]:
    """Return the name of the attempt that a From stands for, and which of its proxies it asked."""
    user, _, asked = uri.partition("sip:")[2].partition("@")[0].partition("-")
    return user, int(asked)


def _seen(system: System, backend: TestBackend, callers: Callers, fault: tuple[float, float], is_well: bool) -> Seen:
    found = system.machine.fleet.python(ROWS.format(users=users_of(callers.attempts[0].number)))
    rows = [Row(*_who(uri), *rest) for uri, *rest in found["rows"]]
    events = list(backend.events)
    return Seen(
        attempts=callers.attempts,
        rows=rows,
        open_rows=found["open"],
        initiated=[event["callId"] for event in events if event["eventType"] == "initiate"],
        disconnected=[event["callId"] for event in events if event["eventType"] == "disconnect"],
        began_at=fault[0],
        ended_at=fault[1],
        is_well=is_well,
        harmed=system.harmed,
    )
