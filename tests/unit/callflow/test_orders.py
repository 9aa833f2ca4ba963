"""The orders of a node: heard by a bell or looked for, carried out, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from callflow.adapters import order_bell
from callflow.adapters import orders as module
from callflow.adapters.order_bell import OrderBell
from callflow.adapters.orders import OrderReader
from callflow.bxml import Webhook
from callflow.bxml.verbs.pause import Pause
from callflow.engine.orders import Completion, NewDocument, Order, Redirection
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.call_orders import CallOrder, OrderKind, Outcome
from voiceapps.services import call_orders

REDIRECT = {
    "redirectUrl": "https://a.example/x",
    "redirectMethod": "GET",
    "redirectFallbackUrl": "https://b.example/",
    "redirectFallbackMethod": "POST",
    "fallbackUsername": "fu",
    "fallbackPassword": "fp",
    "tag": "",
}


class Calls:
    """The calls of a node, which note what is ordered of them."""

    def __init__(self) -> None:
        self.load = 1
        self.orders: list[tuple[str, Order | bool]] = []

    def obey(self, call_id: str, order: Order) -> Outcome:
        self.orders.append((call_id, order))
        return Outcome.DONE if call_id == "c-1" else Outcome.OVER

    def set_recording(self, call_id: str, *, on: bool) -> Outcome:
        self.orders.append((call_id, on))
        return Outcome.IDLE


class Table:
    """What the service has: orders that wait, and outcomes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[CallOrder] = []
        self.outcomes: dict[int, Outcome] = {}
        self.failures: list[Exception] = []
        self.asked = 0
        monkeypatch.setattr(call_orders, "take", self._take)
        monkeypatch.setattr(call_orders, "settle", self.outcomes.update)

    def _take(self, node: str) -> list[CallOrder]:
        assert node == "callflow-1"
        self.asked += 1
        if self.failures:
            raise self.failures.pop()
        taken, self.waiting = self.waiting, []
        return taken


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setattr(module, "DEAF_SECONDS", 0.001)
    monkeypatch.setattr(module, "HEARING_SECONDS", 0.001)
    return Table(monkeypatch)


@pytest.fixture
async def calls(table: Table) -> AsyncIterator[Calls]:
    database = DatabaseExecutor(registry=CollectorRegistry())
    calls = Calls()
    reader = OrderReader(database, "callflow-1", OrderBell("callflow-1", None), calls)
    reader.start()
    yield calls
    await reader.stop()


async def until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]  # a function without arguments
            await asyncio.sleep(0)


async def test_each_kind_is_carried_out_and_answered(table: Table, calls: Calls) -> None:
    table.waiting = [
        CallOrder(1, "c-1", OrderKind.COMPLETE, {}),
        CallOrder(2, "c-gone", OrderKind.COMPLETE, {}),
        CallOrder(3, "c-1", OrderKind.REDIRECT, REDIRECT),
        CallOrder(4, "c-1", OrderKind.DOCUMENT, {"bxml": "<Bxml><Pause duration='2'/></Bxml>", "charset": ""}),
        CallOrder(5, "c-1", OrderKind.RECORDING, {"state": "paused"}),
        CallOrder(6, "c-1", OrderKind.RECORDING, {"state": "recording"}),
    ]
    await until(lambda: len(table.outcomes) == 6)
    assert table.outcomes == {1: Outcome.DONE, 2: Outcome.OVER, 3: Outcome.DONE, 4: Outcome.DONE, 5: Outcome.IDLE, 6: Outcome.IDLE}
    completion, _, redirection, document, paused, resumed = [order for _, order in calls.orders]
    assert completion == Completion()
    fallback = Webhook("https://b.example/", "POST", "fu", "fp")
    assert redirection == Redirection(Webhook("https://a.example/x", "GET", "", "", fallback), "")
    assert isinstance(document, NewDocument)
    assert document.document.verbs == (Pause(2.0, 1),)
    assert (paused, resumed) == (False, True)


async def test_a_node_without_calls_asks_nothing(table: Table, calls: Calls) -> None:
    calls.load = 0
    asked = table.asked
    for _ in range(100):
        await asyncio.sleep(0)
    assert table.asked <= asked + 1
    calls.load = 1
    await until(lambda: table.asked > asked + 1)


async def test_a_database_that_is_away_ends_nothing(table: Table, calls: Calls) -> None:
    table.failures = [OperationalError("away"), ValueError("odd")]
    table.waiting = [CallOrder(1, "c-1", OrderKind.COMPLETE, {})]
    await until(lambda: table.outcomes)
    assert table.failures == []


async def test_the_bell_hears_its_own_name_and_forgives_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_bell, "RETRY_SECONDS", 0)
    rings: asyncio.Queue[str | Exception] = asyncio.Queue()
    connected = 0

    async def listen() -> AsyncIterator[str]:
        nonlocal connected
        connected += 1
        yield ""
        while True:
            ring = await rings.get()
            if isinstance(ring, Exception):
                raise ring
            yield ring

    bell = OrderBell("callflow-1", listen)
    bell.start()
    await bell.wait(10)
    assert bell.is_heard
    rings.put_nowait("callflow-2")
    await until(rings.empty)
    assert not bell._rung.is_set()
    rings.put_nowait("callflow-1")
    await bell.wait(10)
    rings.put_nowait(OSError("gone"))
    await until(lambda: connected == 2)
    await bell.wait(10)
    await bell.close()


async def test_an_order_that_fails_spoils_no_other(table: Table, calls: Calls) -> None:
    table.waiting = [
        CallOrder(1, "c-1", OrderKind.COMPLETE, {}),
        CallOrder(2, "c-1", OrderKind.REDIRECT, {}),
        CallOrder(3, "c-1", OrderKind.COMPLETE, {}),
    ]
    await until(lambda: table.outcomes)
    assert table.outcomes == {1: Outcome.DONE, 3: Outcome.DONE}
