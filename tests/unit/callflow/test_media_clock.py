"""Turns of calls: each every 20 ms by absolute times, spread over phases, whatever others do in theirs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from callflow.aio.media_clock import PHASE_SECONDS, PHASES, MediaClock
from callflow.audio.sender import FRAME_SECONDS


class Call:
    """A call that notes its turns."""

    def __init__(self, clock: MediaClock) -> None:
        self.turns: list[float] = []
        self.enough = asyncio.Event()
        self.first = clock.join(self)

    def __call__(self, now: float) -> None:
        self.turns.append(now)
        if len(self.turns) == 5:
            self.enough.set()

    async def wait(self) -> None:
        async with asyncio.timeout(10):
            await self.enough.wait()


async def test_turns_come_by_absolute_times_and_never_early() -> None:
    clock = MediaClock()
    before = time.monotonic()
    call = Call(clock)
    assert before < call.first <= before + FRAME_SECONDS + PHASE_SECONDS
    await call.wait()
    slots = [int((turn - call.first) / FRAME_SECONDS + 1e-6) for turn in call.turns]
    assert slots == sorted(set(slots)), "at most one turn in a slot"
    assert call.turns[0] >= call.first
    clock.leave(call)


async def test_who_joins_takes_nobodys_turn() -> None:
    clock = MediaClock()
    call = Call(clock)
    time.sleep(max(0.0, call.first + PHASE_SECONDS / 2 - time.monotonic()))  # its turn is due
    joined_at = time.monotonic()
    other = Call(clock)
    while not call.turns:
        await asyncio.sleep(0)
    assert call.turns[0] - joined_at < FRAME_SECONDS / 2 or time.monotonic() - joined_at > FRAME_SECONDS, "not a frame later"
    assert int((call.turns[0] - call.first) / FRAME_SECONDS) == int((joined_at - call.first) / FRAME_SECONDS)
    for one in (call, other):
        clock.leave(one)


async def test_calls_are_spread_over_the_phases() -> None:
    clock = MediaClock()
    calls = [Call(clock) for _ in range(3 * PHASES)]
    phases = Counter(round((call.first - calls[0].first) / PHASE_SECONDS) % PHASES for call in calls)
    assert phases == dict.fromkeys(range(PHASES), 3)
    for call in calls[:PHASES]:
        clock.leave(call)
    for call in calls[PHASES:]:
        await call.wait()
        clock.leave(call)
    assert not any(call.turns for call in calls[:PHASES])


async def test_a_call_that_fails_costs_the_others_nothing_and_has_its_next_turn() -> None:
    clock = MediaClock()
    failures = []

    def fail(now: float) -> None:
        failures.append(now)
        raise RuntimeError("a bug")

    clock.join(fail)
    # The same phase as the one that fails.
    others = [Call(clock) for _ in range(PHASES)]
    await others[-1].wait()
    assert len(failures) > 1
    assert len(others[0].turns) >= len(others[-1].turns) - 1
    clock.leave(fail)
    for call in others:
        clock.leave(call)


async def test_a_process_that_stood_still_makes_up_for_one_turn_only() -> None:
    clock = MediaClock()
    call = Call(clock)
    time.sleep(5 * FRAME_SECONDS)  # the process stands still
    await asyncio.sleep(0)
    await call.wait()
    stood_until = call.first + 4 * FRAME_SECONDS
    assert call.turns[0] >= stood_until
    assert call.turns[1] - call.first >= int((call.turns[0] - call.first) / FRAME_SECONDS) * FRAME_SECONDS + FRAME_SECONDS - 1e-6
    clock.leave(call)


async def test_who_leaves_in_a_turn_has_no_more_and_others_go_on() -> None:
    clock = MediaClock()
    seen: list[str] = []

    def leave(_now: float) -> None:
        seen.append("left")
        clock.leave(leave)

    clock.join(leave)
    call = Call(clock)
    await call.wait()
    assert seen == ["left"]
    clock.leave(call)
    clock.leave(call)


async def test_an_empty_clock_begins_anew() -> None:
    clock = MediaClock()
    first = Call(clock)
    await first.wait()
    clock.leave(first)
    taken = len(first.turns)
    second = Call(clock)
    await second.wait()
    assert len(first.turns) == taken
    clock.leave(second)
