"""Synthesise sentences by the program espeak-ng, and cache the audio.

The same markup and voice give the same audio, so a prompt is synthesised once and then read from the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path

from callflow.aio.convert import to_ulaw
from callflow.audio.wav import Wav, WavError
from callflow.bxml.voices import Voice

PROGRAM = "espeak-ng"
MAX_SPEECH_SECONDS = 600
MAX_SPEAKERS = 4
"""Processes running at once."""
MAX_CACHED_PROMPTS = 5_000
"""Files in the cache; when it is full, the least recently used quarter is deleted."""
TIMEOUT_SECONDS = 20.0

_SPOKEN_BYTES_PER_SECOND = 22_050 * 2
_LANGUAGES = {
    "en_US": "en-us",
    "en_UK": "en-gb",
    "de": "de",
    "es": "es",
    "es_MX": "es-419",
    "es_US": "es-419",
    "fr": "fr-fr",
    "fr_CA": "fr-fr",
    "it": "it",
    "ja": "ja",
    "ru": "ru",
    "arb": "ar",
    "cmn_CN": "cmn",
}
_VARIANTS = {"female": "f3", "male": "m3"}


class SpeechUnavailable(Exception):
    """A sentence that cannot be spoken; the text says why in one sentence."""


class Speaker:
    """Synthesises sentences as µ-law audio."""

    def __init__(self, cache_dir: str, program: str = PROGRAM) -> None:
        self._cache = PromptCache(Path(cache_dir))
        self._places = asyncio.Semaphore(MAX_SPEAKERS)
        self._program = program

    async def say(self, markup: str, voice: Voice) -> bytes:
        """Return a sentence as µ-law at 8 kHz; `markup` is SSML without its root; raises SpeechUnavailable."""
        name = f"{_LANGUAGES[voice.locale]}+{_VARIANTS[voice.gender]}"
        key = hashlib.sha256(f"{self._program}\n{name}\n{markup}".encode()).hexdigest()
        kept = await asyncio.to_thread(self._cache.read, key)
        if kept is not None:
            return kept
        async with self._places:
            spoken = await self._speak(f"<speak>{markup}</speak>", name)
        return await asyncio.to_thread(self._convert, key, spoken)

    def _convert(self, key: str, spoken: bytes) -> bytes:
        try:
            ulaw = to_ulaw(Wav.parse(spoken))
        except WavError as error:
            raise SpeechUnavailable(f"{self._program} wrote no audio. {error}") from error
        self._cache.write(key, ulaw)
        return ulaw

    async def _speak(self, document: str, name: str) -> bytes:
        arguments = (self._program, "-m", "-v", name, "--stdin", "--stdout")
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
        except OSError as error:
            raise SpeechUnavailable(f"{self._program} cannot be started; install the package espeak-ng.") from error
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._talk_to(process, document.encode())
        except TimeoutError as error:
            raise SpeechUnavailable(f"{self._program} took longer than {TIMEOUT_SECONDS:g} s.") from error
        finally:
            if process.returncode is None:
                process.kill()
            await _drain(process)
            await process.wait()

    async def _talk_to(self, process: asyncio.subprocess.Process, document: bytes) -> bytes:
        if process.stdin is None or process.stdout is None:
            raise SpeechUnavailable(f"{self._program} has no pipes.")
        process.stdin.write(document)
        process.stdin.close()
        limit = MAX_SPEECH_SECONDS * _SPOKEN_BYTES_PER_SECOND
        pieces: list[bytes] = []
        while piece := await process.stdout.read(65_536):
            pieces.append(piece)
            limit -= len(piece)
            if limit < 0:
                raise SpeechUnavailable(f"The sentence is longer than {MAX_SPEECH_SECONDS} s when spoken.")
        return b"".join(pieces)


class PromptCache:
    """Sounds in files named by a hash. If the directory cannot be used, prompts take longer and calls go on."""

    def __init__(self, directory: Path) -> None:
        self._count: int | None = None
        self._directory = directory

    def read(self, key: str) -> bytes | None:
        """Return a cached sound and mark it as used, or None."""
        path = self._path(key)
        try:
            sound = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return sound

    def write(self, key: str, sound: bytes) -> None:
        """Cache a sound, atomically: a reader sees all of it or nothing."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(sound)
            os.replace(file.name, path)
        except OSError:
            return
        self._make_room()

    def _make_room(self) -> None:
        if self._count is None or self._count >= MAX_CACHED_PROMPTS:
            files = sorted(self._directory.glob("*.ulaw"), key=_last_used)
            surplus = len(files) // 4 if len(files) > MAX_CACHED_PROMPTS else 0
            for path in files[:surplus]:
                path.unlink(missing_ok=True)
            self._count = len(files) - surplus
        else:
            self._count += 1

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}.ulaw"


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read what is left in the pipe: asyncio reports the end of a process only after that of its pipes, which a full buffer hides."""
    while process.stdout is not None and await process.stdout.read(65_536):
        pass
