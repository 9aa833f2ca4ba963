"""The tasks of a call: whatever goes wrong in one of them reaches the engine."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from callflow.aio.call_work import CallWork
from callflow.aio.recordings.recorder import RecordingFailed
from callflow.engine.effects import StartRecording
from tests.unit.engine.driver import Driver
from voiceapps.rules.endings import EndReason


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(RecordingFailed("The disk is full."), "The disk is full."), (ValueError("odd"), "The recording could not be completed.")],
)
async def test_a_recording_that_fails_in_any_way_is_over(error: Exception, sentence: str) -> None:
    class Recorder:
        async def finish(self) -> None:
            raise error

    driver = Driver()
    driver.run("<StartRecording/><Pause duration='9'/>")
    recording_id = driver.last(StartRecording).recording_id
    tasks: list[asyncio.Task[None]] = []
    services = SimpleNamespace(spawn=lambda work: tasks.append(asyncio.ensure_future(work)))
    CallWork(driver.engine, cast("Any", services), lambda: None).finish_recording(cast("Any", Recorder()), recording_id)
    await asyncio.gather(*tasks)
    assert len(driver.engine.recordings) == 0
    assert (driver.ended.reason, driver.ended.error_message) == (EndReason.INTERNAL_ERROR, sentence)
    assert driver.engine.finished
