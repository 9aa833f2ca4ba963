from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from daemonkit.rounds import FAILED_ROUNDS, Rounds

SECONDS = 10.0


class Work:
    """Counts its rounds; those whose numbers are in `bad` fail."""

    def __init__(self, *bad: int) -> None:
        self.rounds = 0
        self._bad = bad
        self._seen = asyncio.Event()

    def once(self) -> None:
        self.rounds += 1
        self._seen.set()
        if self.rounds in self._bad:
            raise ValueError(f"round {self.rounds} is bad")

    async def once_later(self) -> None:
        await asyncio.sleep(0)
        self.once()

    async def until(self, rounds: int) -> None:
        async with asyncio.timeout(SECONDS):
            while self.rounds < rounds:
                self._seen.clear()
                await self._seen.wait()


def failed(work: str) -> float:
    return float(FAILED_ROUNDS.labels(work)._value.get())


@pytest.mark.parametrize("kind", [Work.once, Work.once_later])
async def test_a_round_that_fails_is_logged_and_counted_and_ends_nothing(kind: Callable[[Work], None]) -> None:
    work = Work(1, 3)
    before = failed("test")
    rounds = Rounds("test", lambda: kind(work), lambda: 0.0)
    with capture_logs() as lines:
        rounds.start()
        await work.until(4)
    rounds.stop()
    assert [(line["event"], line["work"]) for line in lines] == [("round_failed", "test")] * 2
    assert failed("test") - before == 2


async def test_nothing_more_is_done_after_the_stop() -> None:
    work = Work()
    rounds = Rounds("test", work.once, lambda: 0.0)
    rounds.start()
    await work.until(2)
    rounds.stop()
    done = work.rounds
    assert not rounds.is_running
    for _ in range(5):
        await asyncio.sleep(0)
    assert work.rounds == done


async def test_where_the_first_round_is_done_already_it_begins_with_the_pause() -> None:
    work, pauses = Work(), []

    def pause() -> float:
        pauses.append(work.rounds)
        return 0.0

    rounds = Rounds("test", work.once, pause)
    rounds.start(with_pause=True)
    await work.until(2)
    rounds.stop()
    assert pauses[:2] == [0, 1]
