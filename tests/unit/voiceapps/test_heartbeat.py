from __future__ import annotations

import asyncio
from dataclasses import replace

from voiceapps.daemon.heartbeat import Heartbeat
from voiceapps.rules.reports import NodeBeat, Report

BEAT = NodeBeat("callflow", "n", 0.0, "up", "", "127.0.0.1:6161", 0, "")


class Written:
    """Takes records as a writer does."""

    def __init__(self) -> None:
        self.records: list[Report] = []

    def put(self, record: Report) -> None:
        self.records.append(record)


async def test_it_beats_at_once_on_news_and_at_the_end() -> None:
    written = Written()
    state: list[NodeBeat] = [BEAT]
    heart = Heartbeat(written, lambda: state[0])
    heart.start()
    await asyncio.sleep(0)
    state[0] = replace(BEAT, state="draining")
    heart.beat()
    await heart.stop()
    assert [record.state for record in written.records if isinstance(record, NodeBeat)] == ["up", "draining", "down"]


async def test_a_process_that_never_served_is_never_known() -> None:
    written = Written()
    heart = Heartbeat(written, lambda: None)
    heart.start()
    await asyncio.sleep(0)
    await heart.stop()
    assert written.records == []
