from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from voiceapps.daemon.node_reporter import NodeReporter, NodeState
from voiceapps.rules.reports import MediaNotice, NodeBeat, Report

NOTICE = MediaNotice(call_id="c-1", at=1.0, leg="external", source="", destination="", text="text")
UP = NodeState(draining=False, load=3, public=("203.0.113.5", 6160), internal=("10.0.0.1", 6162), transports="udp:6160")


class Database:
    """Keeps what a daemon writes."""

    def __init__(self, describe: Callable[[], NodeState | None]) -> None:
        self.written: list[Report] = []
        self.reporter = NodeReporter(
            "sipproxy", "n", describe, write_reports=self._write, metrics=("127.0.0.1", 9100), registry=CollectorRegistry()
        )

    def _write(self, records: Sequence[Report]) -> None:
        self.written += records

    def states(self) -> list[str]:
        return [record.state for record in self.written if isinstance(record, NodeBeat)]


async def test_a_beat_holds_all_that_the_daemon_says() -> None:
    database = Database(lambda: UP)
    await database.reporter.start()
    await asyncio.sleep(0)
    await database.reporter.stop()
    first = database.written[0]
    assert isinstance(first, NodeBeat)
    assert (first.role, first.name, first.state, first.load) == ("sipproxy", "n", "up", 3)
    assert (first.public_address, first.internal_address) == ("203.0.113.5:6160", "10.0.0.1:6162")
    assert (first.metrics_address, first.transports) == ("127.0.0.1:9100", "udp:6160")


async def test_addresses_that_a_daemon_has_not_are_empty() -> None:
    database = Database(lambda: NodeState(draining=False, load=0))
    await database.reporter.start()
    await asyncio.sleep(0)
    await database.reporter.stop()
    first = database.written[0]
    assert isinstance(first, NodeBeat)
    assert (first.public_address, first.internal_address, first.transports) == ("", "", "")


async def test_the_last_records_are_written_and_the_node_is_down() -> None:
    state = [UP]
    database = Database(lambda: state[0])
    await database.reporter.start()
    await asyncio.sleep(0)
    state[0] = NodeState(draining=True, load=1)
    database.reporter.beat()
    database.reporter.put(NOTICE)
    await database.reporter.stop()
    assert NOTICE in database.written
    assert database.states() == ["up", "draining", "down"]


async def test_a_daemon_that_never_served_has_no_node() -> None:
    database = Database(lambda: None)
    await database.reporter.start()
    await asyncio.sleep(0)
    await database.reporter.stop()
    assert database.written == []
