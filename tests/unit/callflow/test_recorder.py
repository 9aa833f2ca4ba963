"""Recordings in real files, and a disk that is too slow for them."""

from __future__ import annotations

import random
import threading
import wave
from pathlib import Path

import pytest

from callflow.aio.recordings import recorder as module
from callflow.aio.recordings.recorder import FLUSH_BYTES, MAX_PENDING_WRITES, Recorder, RecorderPool, RecordingFailed
from mediarelay.rtp.g711 import ulaw_to_pcm16

SECOND = bytes(FLUSH_BYTES)


async def test_a_recording_is_sample_exact(tmp_path: Path) -> None:
    pool = RecorderPool(str(tmp_path))
    recorder = pool.start("c-1", "r-1", 60.0)
    ulaw = bytes(random.Random(5).choices(range(256), k=20_000))
    for position in range(0, len(ulaw), 160):
        recorder.write(ulaw[position : position + 160])
    finished = await recorder.finish()
    assert finished.duration_ms == 2500
    with wave.open(finished.path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.readframes(100_000) == ulaw_to_pcm16(ulaw)
    assert finished.path == str(tmp_path / "c-1" / "r-1.wav")
    await pool.close()


async def test_a_recording_ends_at_its_maximum_length(tmp_path: Path) -> None:
    pool = RecorderPool(str(tmp_path))
    recorder = pool.start("c-1", "r-1", 0.05)
    for _ in range(5):
        recorder.write(b"\x00" * 160)
    assert (await recorder.finish()).duration_ms == 50
    await pool.close()


async def test_an_empty_recording_is_a_file_too(tmp_path: Path) -> None:
    pool = RecorderPool(str(tmp_path))
    finished = await pool.start("c-1", "r-1", 60.0).finish()
    with wave.open(finished.path) as file:
        assert file.getnframes() == 0
    await pool.close()


async def test_a_recording_that_cannot_be_written_fails_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "c-1").write_text("in the way")
    pool = RecorderPool(str(tmp_path))
    recorder = pool.start("c-1", "r-1", 60.0)
    recorder.write(b"\x00" * 16_000)
    with pytest.raises(RecordingFailed) as caught:
        await recorder.finish()
    assert str(caught.value) == "The recording could not be written: File exists."
    await pool.close()


class StuckDisk:
    """The disk of a pool, which takes nothing until it is told to."""

    def __init__(self, pool: RecorderPool) -> None:
        self._free = threading.Event()
        pool._thread.submit(self._free.wait)

    def go_on(self) -> None:
        self._free.set()


async def finish(recorder: Recorder) -> str:
    """Return the length of a recording, or why there is none."""
    try:
        return f"{(await recorder.finish()).duration_ms} ms"
    except RecordingFailed as error:
        return str(error)


async def test_a_recording_waits_a_minute_for_a_slow_disk(tmp_path: Path) -> None:
    pool = RecorderPool(str(tmp_path))
    disk = StuckDisk(pool)
    recorders = [pool.start("c-1", f"r-{number}", 1_000.0) for number in range(2)]
    for recorder, seconds in zip(recorders, (MAX_PENDING_WRITES - 1, MAX_PENDING_WRITES), strict=True):
        for _ in range(seconds):
            recorder.write(SECOND)
    disk.go_on()
    assert [await finish(recorder) for recorder in recorders] == ["59000 ms", "The disk is too slow for the recording."]
    await pool.close()


async def test_what_waits_of_all_recordings_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING_BYTES", 5 * FLUSH_BYTES)
    pool = RecorderPool(str(tmp_path))
    disk = StuckDisk(pool)
    recorders = [pool.start("c-1", f"r-{number}", 1_000.0) for number in range(3)]
    for _ in range(2):
        for recorder in recorders:
            recorder.write(SECOND)
    disk.go_on()
    assert [await finish(recorder) for recorder in recorders] == ["2000 ms", "2000 ms", "The disk is too slow for the recording."]
    later = pool.start("c-2", "r-1", 1_000.0)
    for _ in range(5):
        later.write(SECOND)
    assert await finish(later) == "5000 ms"
    await pool.close()
