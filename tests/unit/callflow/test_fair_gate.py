"""The gate that accounts share."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from callflow.aio.sounds.fair_gate import FairGate


class Crowd:
    """Pieces of work that end when they are told to."""

    def __init__(self, places: int) -> None:
        self.entered: list[str] = []
        self._gate = FairGate(places)
        self._inside: list[tuple[str, asyncio.Event]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, *accounts: str) -> None:
        self.tasks += [asyncio.create_task(self._work(account)) for account in accounts]
        await self.settle()

    async def end(self, account: str) -> None:
        """End the oldest work of an account."""
        place = next(place for place in self._inside if place[0] == account)
        self._inside.remove(place)
        place[1].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def inside(self) -> Counter[str]:
        return Counter(account for account, _ in self._inside)

    async def _work(self, account: str) -> None:
        async with self._gate.place(account):
            done = asyncio.Event()
            self.entered.append(account)
            self._inside.append((account, done))
            await done.wait()


@pytest.mark.parametrize(("places", "most"), [(4, 3), (2, 1)])
async def test_one_account_leaves_the_last_place_to_others(places: int, most: int) -> None:
    crowd = Crowd(places)
    await crowd.come(*"a" * 20)
    assert crowd.inside == {"a": most}
    await crowd.come("b")
    assert crowd.inside == {"a": most, "b": 1}
    await crowd.end("b")
    assert crowd.inside == {"a": most}


async def test_an_account_with_half_of_the_places_waits_for_others() -> None:
    crowd = Crowd(4)
    await crowd.come(*"aaaa", *"bbbb")
    assert crowd.inside == {"a": 3, "b": 1}
    await crowd.end("a")
    await crowd.end("a")
    assert crowd.inside == {"a": 2, "b": 2}


async def test_those_that_wait_take_turns() -> None:
    crowd = Crowd(2)
    await crowd.come(*"aabbccd")
    assert crowd.entered == ["a", "b"]
    for account in "ababc":
        await crowd.end(account)
    assert crowd.entered == ["a", "b", "a", "b", "c", "d", "c"]


async def test_whoever_has_fewer_places_comes_first() -> None:
    crowd = Crowd(4)
    await crowd.come(*"ccca", *"ab")
    await crowd.end("c")
    assert crowd.inside == {"c": 2, "a": 1, "b": 1}


async def test_whoever_gives_up_holds_nothing() -> None:
    crowd = Crowd(2)
    await crowd.come(*"aab")
    crowd.tasks[1].cancel()
    await crowd.settle()
    await crowd.come("a")
    await crowd.end("a")
    assert crowd.inside == {"a": 1, "b": 1}
    assert crowd.entered == ["a", "b", "a"]


async def test_a_place_that_is_handed_to_one_who_gives_up_is_free() -> None:
    gate = FairGate(2)
    async with gate.place("a"):
        waiting = asyncio.create_task(gate._take("a"))
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    async with asyncio.timeout(10), gate.place("a"), gate.place("b"):
        assert waiting.cancelled()


async def test_work_that_fails_gives_its_place_back() -> None:
    gate = FairGate(2)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            async with gate.place("a"):
                raise ValueError("no")
    async with asyncio.timeout(10), gate.place("a"):
        pass
