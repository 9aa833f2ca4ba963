"""Write recordings in a thread.

One thread for all recordings keeps the writes of each file in order. Each sample of µ-law becomes one 16-bit sample, so a
file is exactly as long as the audio received.
"""

from __future__ import annotations

import asyncio
import wave
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from callflow.aio.sounds.budget import Budget
from mediarelay.rtp.g711 import ulaw_to_pcm16

RATE = 8_000
FLUSH_BYTES = RATE
"""Audio that is buffered before the thread writes it: one second."""
MAX_PENDING_WRITES = 60
"""Writes that may wait for a slow disk; with one more the recording fails."""
MAX_PENDING_BYTES = 128 * 1024 * 1024
"""What may wait of all recordings: half a minute of 500."""


class RecordingFailed(Exception):
    """A recording that could not be written; the text says why in one sentence."""


@dataclass(frozen=True, slots=True)
class FinishedRecording:
    """The path and the length of a complete file."""

    path: str
    duration_ms: int


class RecorderPool:
    """The thread that writes all recordings."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._pending = Budget(MAX_PENDING_BYTES)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")

    def start(self, call_id: str, recording_id: str, max_seconds: float) -> Recorder:
        """Open `<directory>/<call id>/<recording id>.wav` and return its recorder."""
        path = self._directory / call_id / f"{recording_id}.wav"
        return Recorder(self._thread, self._pending, path, int(max_seconds * RATE))

    async def close(self) -> None:
        """Wait until everything queued is written."""
        await asyncio.to_thread(self._thread.shutdown)


class Recorder:
    """One recording: `write` frames, then `finish` once."""

    def __init__(self, thread: ThreadPoolExecutor, room: Budget, path: Path, max_samples: int) -> None:
        self._buffer = bytearray()
        self._file: wave.Wave_write | None = None
        self._left = max_samples
        self._path = path
        self._pending: list[Future[None]] = []
        self._problem: str | None = None
        self._room = room
        self._samples = 0
        self._thread = thread
        self._submit(b"")

    def write(self, ulaw: bytes) -> None:
        """Append audio up to the maximum length; never blocks, never raises."""
        kept = ulaw[: self._left]
        self._left -= len(kept)
        self._samples += len(kept)
        self._buffer += kept
        if len(self._buffer) >= FLUSH_BYTES:
            self._flush()

    async def finish(self) -> FinishedRecording:
        """Complete the file; raises RecordingFailed."""
        self._flush()
        await asyncio.wrap_future(self._thread.submit(self._close))
        if self._problem:
            raise RecordingFailed(self._problem)
        return FinishedRecording(str(self._path), self._samples * 1000 // RATE)

    def _flush(self) -> None:
        if self._buffer:
            self._submit(bytes(self._buffer))
            self._buffer.clear()

    def _submit(self, ulaw: bytes) -> None:
        self._pending = [write for write in self._pending if not write.done()]
        if len(self._pending) >= MAX_PENDING_WRITES or not self._room.take(len(ulaw)):
            self._problem = "The disk is too slow for the recording."
            return
        self._pending.append(self._thread.submit(self._append, ulaw))

    # In the thread.

    def _append(self, ulaw: bytes) -> None:
        try:
            if not self._problem:
                self._write(ulaw)
        finally:
            self._room.give_back(len(ulaw))

    def _write(self, ulaw: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._open()
            self._file.writeframesraw(ulaw_to_pcm16(ulaw))
        except OSError as error:
            self._problem = f"The recording could not be written: {error.strerror}."

    def _close(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self._problem = f"The recording could not be written: {error.strerror}."

    def _open(self) -> wave.Wave_write:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = wave.open(str(self._path), "wb")
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        return file
