"""The nodes that a proxy works with, as the database has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from sipproxy.adapters import nodes as adapter
from sipproxy.adapters.nodes import LiveNodes
from voiceapps.choices import WantedState
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.reports import NodeBeat
from voiceapps.selectors import NODE_LIVE_SECONDS, POOL_SECONDS, NodeView
from voiceapps.services import nodes
from voiceapps.services.audit import Actor
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db(transaction=True)

SILENT = NODE_LIVE_SECONDS + 5
GONE = POOL_SECONDS + 5
ONE = NodeView("one", "callflow", "up", "", "10.0.0.1:1", (), 0, "1", live=True)


@pytest.fixture
async def database() -> AsyncIterator[DatabaseExecutor]:
    database = DatabaseExecutor(registry=CollectorRegistry())
    yield database
    await database.close()


def beat(
    name: str, port: int, *, ago: float = 0.0, state: Literal["up", "draining", "down"] = "up", load: int = 0, boot: str = "1"
) -> NodeBeat:
    return NodeBeat("callflow", name, time.time() - ago, state, "", f"10.0.0.1:{port}", load, "", boot=boot)


class Seen:
    """What a proxy is told of its nodes, as ports."""

    def __init__(self, database: DatabaseExecutor, *, keeps_silent: bool = False) -> None:
        self.up: list[int] = []
        self.known: set[int] = set()
        self.nodes = LiveNodes(database, "callflow", self._take, keeps_silent=keeps_silent)

    def _take(self, up: tuple[Address, ...], known: tuple[Address, ...]) -> None:
        self.up, self.known = [port for _, port in up], {port for _, port in known}


async def read(database: DatabaseExecutor, *beats: NodeBeat, keeps_silent: bool = False) -> Seen:
    await database.write(write_reports, beats)
    seen = Seen(database, keeps_silent=keeps_silent)
    await seen.nodes.start()
    seen.nodes.stop()
    return seen


@pytest.mark.parametrize(("keeps_silent", "known"), [(False, {1, 2, 3}), (True, {1, 2, 3, 4})])
async def test_calls_go_to_live_nodes_and_dialogs_to_those_that_may_hold_them(
    database: DatabaseExecutor, keeps_silent: bool, known: set[int]
) -> None:
    seen = await read(
        database,
        beat("busy", 1, load=9),
        beat("idle", 2),
        beat("draining", 3, state="draining"),
        beat("silent", 4, ago=SILENT),
        beat("gone", 5, ago=GONE),
        beat("down", 6, state="down"),
        keeps_silent=keeps_silent,
    )
    assert (seen.up, seen.known) == ([2, 1], known)


async def test_where_all_are_silent_all_are_used(database: DatabaseExecutor) -> None:
    seen = await read(database, beat("one", 1, ago=SILENT), beat("two", 2, ago=SILENT, state="draining"), beat("gone", 3, ago=GONE))
    assert (seen.up, seen.known) == ([1], {1, 2})


async def test_a_node_that_is_to_drain_gets_no_calls_before_it_knows(database: DatabaseExecutor) -> None:
    await database.write(write_reports, [beat("one", 1), beat("two", 2)])
    await database.write(lambda: nodes.want("one", WantedState.DRAINING, actor=Actor("test")))
    seen = await read(database)
    assert (seen.up, seen.known) == ([2], {1, 2})


async def test_an_address_belongs_to_the_node_that_lives_there(database: DatabaseExecutor) -> None:
    seen = await read(database, beat("renamed", 1, boot="2"), beat("a former name", 1, ago=SILENT), beat("zz former", 1, ago=SILENT))
    node = seen.nodes.at(("10.0.0.1", 1))
    assert node is not None
    assert (node.name, node.boot) == ("renamed", "2")
    assert seen.nodes.at(("10.0.0.1", 9)) is None


async def test_an_unavailable_database_takes_no_node_away(database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await read(database, beat("one", 1))

    def broken(_role: str) -> tuple[object, ...]:
        raise OperationalError("the server went away")

    monkeypatch.setattr(adapter, "known_nodes", broken)
    await seen.nodes.start()
    seen.nodes.stop()
    assert (seen.up, seen.known) == ([1], {1})


async def test_an_unexpected_error_does_not_end_the_reading(database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[tuple[NodeView, ...] | Exception] = [(), ValueError("a row that is none"), (ONE,)]

    def known(_role: str) -> tuple[NodeView, ...]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(adapter, "known_nodes", known)
    monkeypatch.setattr(adapter, "REFRESH_SECONDS", 0)
    seen = Seen(database)
    await seen.nodes.start()
    async with asyncio.timeout(10):
        while seen.up != [1]:
            await asyncio.sleep(0)
    seen.nodes.stop()
