from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from prometheus_client import CollectorRegistry

from voiceapps.daemon import draining, node_reporter
from voiceapps.daemon.ledger import Ledger
from voiceapps.daemon.node_reporter import NodeReporter, NodeState
from voiceapps.rules.reports import Batch, MediaNotice, NodeBeat, Report

NOTICE = MediaNotice(call_id="c-1", at=1.0, leg="external", source="", destination="", text="text")
UP = NodeState(load=3, public=("203.0.113.5", 6160), internal=("10.0.0.1", 6162), transports="udp:6160", ports=(40, 5000))


class Database:
    """Keeps what a daemon writes."""

    def __init__(self, directory: Path, describe: Callable[[], NodeState | None]) -> None:
        self.written: list[Report] = []
        self.answers = threading.Event()
        self.answers.set()
        ledger = Ledger(self._write, self._forget, directory, Fernet(Fernet.generate_key()))
        self.wanted = False
        self.reporter = NodeReporter(
            "sipproxy",
            "n",
            describe,
            is_to_drain=lambda _name: self.wanted,
            ledger=ledger,
            metrics=("127.0.0.1", 9100),
            registry=CollectorRegistry(),
        )

    def _write(self, batch: Batch) -> None:
        self.answers.wait(10)
        self.written += batch.reports

    def _forget(self, node: str, living: Collection[str]) -> None:
        pass

    def states(self) -> list[str]:
        return [record.state for record in self.written if isinstance(record, NodeBeat)]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_a_beat_holds_all_that_the_daemon_says(tmp_path: Path) -> None:
    database = Database(tmp_path, lambda: UP)
    await database.reporter.start()
    await until(lambda: database.written)
    await database.reporter.stop()
    first = database.written[0]
    assert isinstance(first, NodeBeat)
    assert (first.role, first.name, first.state, first.load) == ("sipproxy", "n", "up", 3)
    assert (first.public_address, first.internal_address) == ("203.0.113.5:6160", "10.0.0.1:6162")
    assert (first.metrics_address, first.transports) == ("127.0.0.1:9100", "udp:6160")
    assert (first.ports_used, first.ports_total) == (40, 5000)


async def test_addresses_that_a_daemon_has_not_are_empty(tmp_path: Path) -> None:
    database = Database(tmp_path, lambda: NodeState(load=0))
    await database.reporter.start()
    await until(lambda: database.written)
    await database.reporter.stop()
    first = database.written[0]
    assert isinstance(first, NodeBeat)
    assert (first.public_address, first.internal_address, first.transports) == ("", "", "")


async def test_the_last_records_are_written_and_the_node_is_down(tmp_path: Path) -> None:
    database = Database(tmp_path, lambda: UP)
    await database.reporter.start()
    await until(lambda: database.states() == ["up"])
    database.reporter.drain()
    await until(lambda: database.states() == ["up", "draining"])
    database.reporter.put(NOTICE)
    await database.reporter.stop()
    assert NOTICE in database.written
    assert database.states() == ["up", "draining", "down"]


class Calls:
    """The calls of a daemon, which are told what their node does."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def drain(self) -> None:
        self.told.append("drain")

    def resume(self) -> None:
        self.told.append("resume")


async def test_a_daemon_does_what_an_operator_wants_and_says_so_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "READ_SECONDS", 0)
    calls = Calls()
    database = Database(tmp_path, lambda: UP)
    await database.reporter.start(calls)
    await until(lambda: database.states() == ["up"])
    database.wanted = True
    await until(lambda: database.reporter.draining and database.states() == ["up", "draining"])
    database.wanted = False
    await until(lambda: not database.reporter.draining and database.states() == ["up", "draining", "up"])
    database.reporter.drain()
    await until(lambda: database.states() == ["up", "draining", "up", "draining"])
    assert calls.told == ["drain", "resume", "drain"]
    await database.reporter.stop()


async def test_a_daemon_that_never_served_has_no_node(tmp_path: Path) -> None:
    database = Database(tmp_path, lambda: None)
    await database.reporter.start()
    await asyncio.sleep(0)
    await database.reporter.stop()
    assert database.written == []


async def test_a_writer_that_hangs_makes_the_node_unready_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(tmp_path, lambda: UP)
    ended = asyncio.Event()
    database.reporter._end_process = ended.set
    assert not database.reporter.is_healthy()
    await database.reporter.start()
    assert database.reporter.is_healthy()
    database.answers.clear()
    monkeypatch.setattr(node_reporter, "STUCK_SECONDS", 0.0)
    async with asyncio.timeout(10):
        while database.reporter.is_healthy():
            await asyncio.sleep(0)
        monkeypatch.setattr(node_reporter, "DEAD_SECONDS", 0.0)
        monkeypatch.setattr(node_reporter, "WATCH_SECONDS", 0.0)
        await database.reporter._watch_forever()
    assert ended.is_set()
    database.answers.set()
    await database.reporter.stop()


async def test_a_writer_that_has_died_ends_the_node(tmp_path: Path) -> None:
    database = Database(tmp_path, lambda: UP)
    ended = asyncio.Event()
    database.reporter._end_process = ended.set
    await database.reporter.start()
    task = database.reporter._writer._task
    assert task is not None
    task.cancel()
    await asyncio.wait({task})
    assert not database.reporter.is_healthy()
    await database.reporter._watch_forever()
    assert ended.is_set()
