"""Write recordings in a thread.

One thread for all recordings keeps the writes of each file in order. Each sample of µ-law becomes one 16-bit sample, so a
wav is exactly as long as the audio received. Two sides that share a file keep in step: each delivers every 20 ms of the call, the
caller's later, as packets may be late; what one of them is ahead waits.
"""

from __future__ import annotations

import asyncio
import audioop
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from callflow.aio.recordings.audio_files import RATE, AudioFile, create
from callflow.aio.sounds.budget import Budget
from callflow.bxml.recording import FileFormat, Sides
from mediarelay.rtp.g711 import ULAW_SILENCE, add_pcm16, ulaw_to_pcm16

FLUSH_BYTES = RATE
"""Audio of one side that is buffered before the thread writes it: one second."""
MAX_PENDING_WRITES = 60
"""Writes that may wait for a slow disk; with one more the recording fails."""
MAX_PENDING_BYTES = 128 * 1024 * 1024
"""What may wait of all recordings: half a minute of 500."""
_WIDTH = 2


class RecordingFailed(Exception):
    """A recording that could not be written; the text says why in one sentence."""


class RecorderPool:
    """The thread that writes all recordings."""

    def __init__(self) -> None:
        self._pending = Budget(MAX_PENDING_BYTES)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")

    def start(self, path: Path, max_seconds: float, file_format: FileFormat, sides: Sides) -> Recorder:
        """Open a file, and the folder around it, and return its recorder."""
        return Recorder(self._thread, self._pending, lambda: create(path, file_format, sides.channels), sides, max_seconds)

    async def close(self) -> None:
        """Wait until everything queued is written."""
        await asyncio.to_thread(self._thread.shutdown)


class Recorder:
    """One recording: `hear_caller` and `hear_answer` take frames, `finish` ends it once."""

    def __init__(
        self, thread: ThreadPoolExecutor, room: Budget, new_file: Callable[[], AudioFile], sides: Sides, max_seconds: float
    ) -> None:
        self.paused = False
        self._caller, self._answer = bytearray(), bytearray()
        self._file: AudioFile | None = None
        self._left = int(max_seconds * RATE)
        self._new_file = new_file
        self._pending: list[Future[None]] = []
        self._problem: str | None = None
        self._room = room
        self._samples = 0
        self._sides = sides
        self._thread = thread
        self._submit(b"", b"")

    def hear_caller(self, ulaw: bytes) -> None:
        """Append what the caller says, up to the maximum length; never blocks, never raises."""
        if not self.paused:
            self._caller += ulaw
            self._flush(FLUSH_BYTES)

    def hear_answer(self, ulaw: bytes) -> None:
        """Append what the caller hears, which a recording of the caller leaves out; never blocks, never raises."""
        if not self.paused and self._sides is not Sides.CALLER:
            self._answer += ulaw
            self._flush(FLUSH_BYTES)

    async def finish(self) -> int:
        """Complete the file and return its length in milliseconds; raises RecordingFailed."""
        if self._sides is not Sides.CALLER:
            self._level()
        self._flush(1)
        await asyncio.wrap_future(self._thread.submit(self._close))
        if self._problem:
            raise RecordingFailed(self._problem)
        return self._samples * 1000 // RATE

    def _level(self) -> None:
        """Make both sides equally long: what one of them lacks at the end is silence."""
        size = max(len(self._caller), len(self._answer))
        for side in (self._caller, self._answer):
            side += bytes((ULAW_SILENCE,)) * (size - len(side))

    def _flush(self, at_least: int) -> None:
        """Have the thread write what there is of all sides."""
        size = len(self._caller) if self._sides is Sides.CALLER else min(len(self._caller), len(self._answer))
        if size < at_least:
            return
        kept = min(size, self._left)
        if kept:
            self._submit(bytes(self._caller[:kept]), bytes(self._answer[:kept]))
        self._left -= kept
        self._samples += kept
        del self._caller[:size], self._answer[:size]

    def _submit(self, caller: bytes, answer: bytes) -> None:
        self._pending = [write for write in self._pending if not write.done()]
        if len(self._pending) >= MAX_PENDING_WRITES or not self._room.take(len(caller) + len(answer)):
            self._problem = "The disk is too slow for the recording."
            return
        self._pending.append(self._thread.submit(self._append, caller, answer))

    # In the thread.

    def _append(self, caller: bytes, answer: bytes) -> None:
        try:
            if not self._problem:
                self._write(caller, answer)
        finally:
            self._room.give_back(len(caller) + len(answer))

    def _write(self, caller: bytes, answer: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._new_file()
            self._file.write(_joined(caller, answer, self._sides))
        except OSError as error:
            self._problem = f"The recording could not be written: {error.strerror}."

    def _close(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self._problem = f"The recording could not be written: {error.strerror}."


def _joined(caller: bytes, answer: bytes, sides: Sides) -> bytes:
    """Return the samples of a file with these sides."""
    left = ulaw_to_pcm16(caller)
    match sides:
        case Sides.CALLER:
            return left
        case Sides.MIXED:
            return add_pcm16(left, ulaw_to_pcm16(answer))
        case Sides.SEPARATE:
            right = audioop.tostereo(ulaw_to_pcm16(answer), _WIDTH, 0, 1)
            return add_pcm16(audioop.tostereo(left, _WIDTH, 1, 0), right)
