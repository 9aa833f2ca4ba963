from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from voiceapps.daemon import heartbeat as module
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
    heart.stop()
    assert [record.state for record in written.records if isinstance(record, NodeBeat)] == ["up", "draining", "down"]


async def test_a_process_that_never_served_is_never_known() -> None:
    written = Written()
    heart = Heartbeat(written, lambda: None)
    heart.start()
    await asyncio.sleep(0)
    heart.stop()
    assert written.records == []


async def test_a_beat_that_fails_is_not_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BEAT_SECONDS", 0)
    written, faults = Written(), [ValueError("the load is not known")]

    def describe() -> NodeBeat:
        if faults:
            raise faults.pop()
        return BEAT

    heart = Heartbeat(written, describe)
    heart.start()
    async with asyncio.timeout(10):
        while not written.records:
            await asyncio.sleep(0)
    heart.stop()
