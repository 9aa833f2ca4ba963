"""The claims of a fleet's nonces in a real Redis: granted once, never after the store has lost its memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sipproxy.admission.nonces import MARK_BYTES, Claim
from sipproxy.aio import claim_store
from sipproxy.aio.claim_store import ClaimStore
from tests.support.redis_server import RedisServer

CLAIM = Claim("nonce", 1, ("call", "2 INVITE", "z9hG4bKa"), None)
OTHER = replace(CLAIM, use=("call-2", "2 INVITE", "z9hG4bKb"))

Marks = asyncio.Queue[bytes | None]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


class Proxy:
    """One proxy of the fleet, as far as its store is concerned."""

    def __init__(self, url: str) -> None:
        self.marks: Marks = asyncio.Queue()
        self.registry = CollectorRegistry()
        self.store = ClaimStore(url, on_mark=self.marks.put_nowait, registry=self.registry)

    async def ask(self, claim: Claim) -> bool | None:
        answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self.store.ask(claim, answer.set_result)
        return await asyncio.wait_for(answer, 10)

    async def mark(self) -> bytes | None:
        return await asyncio.wait_for(self.marks.get(), 30)


@pytest.fixture
async def fleet(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Proxy, Proxy]]:
    monkeypatch.setattr(claim_store, "REFRESH_SECONDS", 0.05)
    proxies = Proxy(redis.url), Proxy(redis.url)
    for proxy in proxies:
        await proxy.store.start()
    yield proxies
    for proxy in proxies:
        await proxy.store.stop()


async def test_a_claim_is_granted_to_one_use_in_the_whole_fleet(fleet: tuple[Proxy, Proxy]) -> None:
    one, other = fleet
    mark = await one.mark()
    assert mark is not None
    assert (len(mark), await other.mark()) == (MARK_BYTES, mark)
    assert await one.ask(CLAIM) is True
    assert await other.ask(CLAIM) is True, "a retransmission"
    assert [await proxy.ask(OTHER) for proxy in fleet] == [False, False]
    assert await other.ask(replace(OTHER, count=2)) is True


async def test_claims_that_come_together_are_granted_once(fleet: tuple[Proxy, Proxy]) -> None:
    await asyncio.gather(*(proxy.mark() for proxy in fleet))
    rivals = [replace(CLAIM, use=(f"call-{number}", "2 INVITE", "z9hG4bK")) for number in range(20)]
    answers = await asyncio.gather(*(fleet[number % 2].ask(claim) for number, claim in enumerate(rivals)))
    assert sorted(answers, key=bool) == [False] * 19 + [True]


async def test_a_store_that_lost_its_memory_grants_nothing_of_before(fleet: tuple[Proxy, Proxy], redis: RedisServer) -> None:
    one, other = fleet
    before = await one.mark()
    assert await one.ask(CLAIM) is True
    redis.stop()
    redis.start()
    # Whether it is noticed by the claim or before it: nothing of before is granted.
    assert not await one.ask(OTHER)
    while (after := await one.mark()) is None:
        continue
    assert after != before
    assert await one.ask(replace(CLAIM, nonce="of now")) is True
    assert one.registry.get_sample_value("sipuri_sip_nonces_shared") == 1
    assert other is not one


async def test_a_store_that_is_away_says_so(fleet: tuple[Proxy, Proxy], redis: RedisServer) -> None:
    one, _ = fleet
    assert await one.mark()
    redis.stop()
    assert await one.mark() is None
    assert await one.ask(CLAIM) is None
    assert one.registry.get_sample_value("sipuri_sip_nonces_shared") == 0


async def test_claims_in_flight_are_bounded(fleet: tuple[Proxy, Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = fleet
    await one.mark()
    monkeypatch.setattr(claim_store, "MAX_CLAIMS_ASKED", 1)
    answers: list[bool | None] = []
    done = asyncio.Event()

    def first(granted: bool | None) -> None:
        answers.append(granted)
        done.set()

    one.store.ask(CLAIM, first)
    one.store.ask(OTHER, answers.append)
    await asyncio.wait_for(done.wait(), 10)
    assert answers == [None, True]
