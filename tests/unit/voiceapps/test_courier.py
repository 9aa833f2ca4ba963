"""The courier: a backend that hangs keeps nobody else waiting, and no answer is lost."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, OperationalError
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.runners import courier as module
from voiceapps.runners import loop_thread
from voiceapps.runners.courier import Courier
from voiceapps.runners.loop_thread import LoopThread
from voiceapps.services.delivery import claims
from voiceapps.services.delivery.claims import Answered, Claimed
from voiceapps.services.delivery.pacing import MAX_TO_HOST, Destination, Room

OK = OutboundAnswer(200, b"", "", 1, None)


class Table:
    """The table of deliveries as the courier sees it."""

    def __init__(self) -> None:
        self.due: list[Claimed] = []
        self.stored: list[UUID] = []
        self.errors: list[Exception] = []
        self.refuses: set[UUID] = set()
        self.fails_after: int | None = None
        """Answers after which it is away once."""
        self.portions = 0
        """Portions of what is due at hosts that rest."""
        self.did: list[str] = []

    def add(self, account: str, count: int) -> list[UUID]:
        new = [
            Claimed(uuid4(), Destination(account, "h"), OutboundRequest("http://h/", "POST", {}, account_id=account)) for _ in range(count)
        ]
        self.due += new
        return [one.delivery_id for one in new]

    def claim(self, room: Room) -> list[Claimed]:
        self.did.append("claim")
        claimed = [one for one in self.due if room.take(one.destination)]
        self.due = [one for one in self.due if one not in claimed]
        return claimed

    def fail_resting(self) -> bool:
        self.did.append("fail")
        self.portions = max(self.portions - 1, 0)
        return self.portions > 0

    def store(self, answers: Sequence[Answered]) -> None:
        if self.errors:
            raise self.errors.pop()
        ids = [one.claimed.delivery_id for one in answers]
        if self.fails_after is not None and len(self.stored) >= self.fails_after:
            self.fails_after = None
            raise OperationalError
        if self.refuses.intersection(ids):
            raise IntegrityError
        self.stored += ids


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table()
    monkeypatch.setattr(claims, "claim", table.claim)
    monkeypatch.setattr(claims, "fail_resting", table.fail_resting)
    monkeypatch.setattr(claims, "store", table.store)
    monkeypatch.setattr(loop_thread, "RETRY_SECONDS", 0)
    return table


class Backends:
    """Answers at once, but for the account whose backend hangs."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.hanging = 0

    async def send(self, request: OutboundRequest) -> OutboundAnswer:
        if request.account_id == "hangs":
            self.hanging += 1
            await self.released.wait()
        if request.account_id == "breaks":
            raise RuntimeError
        return OK


@asynccontextmanager
async def running(backends: Backends) -> AsyncIterator[Courier]:
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    courier = Courier(backends.send, database)
    task = asyncio.create_task(courier.run())
    yield courier
    backends.released.set()
    courier.close()
    await asyncio.wait_for(task, 10)
    await database.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_a_backend_that_hangs_costs_only_its_own_account(table: Table) -> None:
    backends = Backends()
    waiting = table.add("hangs", MAX_TO_HOST + 8)
    others = table.add("answers", MAX_TO_HOST + 8)
    async with running(backends) as courier:
        courier.wake()
        await until(lambda: set(table.stored) == set(others))
        assert backends.hanging == MAX_TO_HOST
        assert [one.delivery_id for one in table.due] == waiting[MAX_TO_HOST:]
        backends.released.set()
        await until(lambda: set(table.stored) == {*others, *waiting})


async def test_what_was_sent_is_stored_before_the_end(table: Table) -> None:
    backends = Backends()
    sent = table.add("hangs", 2)
    async with running(backends) as courier:
        courier.wake()
        await until(lambda: backends.hanging == 2)
        courier.close()
        table.add("answers", 1)
        backends.released.set()
    # What was claimed just then is sent, too.
    assert set(sent) <= set(table.stored)
    assert len(table.stored) + len(table.due) == 3


async def test_a_database_that_is_away_loses_no_answer(table: Table) -> None:
    table.errors = [OperationalError("away") for _ in range(3)]
    ids = table.add("answers", 3)
    async with running(Backends()) as courier:
        courier.wake()
        await until(lambda: len(table.stored) == 3)
    assert sorted(table.stored) == sorted(ids)


async def test_an_answer_that_cannot_be_stored_keeps_no_other_one_waiting(table: Table) -> None:
    ids = table.add("answers", 5)
    table.refuses = {ids[2]}
    async with running(Backends()) as courier:
        courier.wake()
        await until(lambda: len(table.stored) == 4)
        # Its room is free again.
        more = table.add("answers", MAX_TO_HOST)
        courier.wake()
        await until(lambda: set(more) <= set(table.stored))


async def test_between_portions_of_what_rests_it_claims(table: Table) -> None:
    table.portions = 3
    async with running(Backends()) as courier:
        courier.wake()
        await until(lambda: table.portions == 0)
    assert table.did[:6] == ["claim", "fail"] * 3


async def test_a_half_that_is_stored_is_not_stored_again(table: Table) -> None:
    backends = Backends()
    ids = table.add("hangs", 4)
    table.refuses = {ids[2]}
    async with running(backends) as courier:
        courier.wake()
        await until(lambda: backends.hanging == 4)
        table.fails_after = 2
        backends.released.set()
        await until(lambda: len(table.stored) >= 3)
    assert sorted(table.stored) == sorted(set(ids) - table.refuses)


async def test_a_request_that_breaks_is_an_attempt(table: Table) -> None:
    ids = table.add("breaks", 1)
    async with running(Backends()) as courier:
        courier.wake()
        await until(lambda: table.stored == ids)


async def test_a_database_that_says_nothing_makes_it_stuck(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_thread, "STUCK_SECONDS", 0)
    asked, released = threading.Event(), threading.Event()

    def hang(_room: Room) -> list[Claimed]:
        asked.set()
        released.wait(10)
        return []

    monkeypatch.setattr(claims, "claim", hang)
    async with running(Backends()) as courier:
        assert not courier.is_stuck()
        courier.wake()
        await until(asked.is_set)
        assert courier.is_stuck()
        released.set()
        await until(lambda: not courier.is_stuck())


def test_one_that_cannot_begin_keeps_no_task_waiting(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = LoopThread("courier", module._open)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", _no_room)
        thread.wake()
        assert not thread.is_well()
    thread.wake()
    assert thread.is_well()
    thread.drain()


def _no_room() -> asyncio.AbstractEventLoop:
    raise OSError(errno.EMFILE, "Too many open files")


def test_the_first_task_starts_it_and_the_end_waits_for_it(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def claim(_room: Room) -> list[Claimed]:
        asked.set()
        return []

    monkeypatch.setattr(claims, "claim", claim)
    thread = LoopThread("courier", module._open)
    assert not thread.is_well()
    thread.drain()
    thread.wake()
    assert asked.wait(10)
    assert thread.is_well()
    thread.drain()
    assert not thread.is_well()
