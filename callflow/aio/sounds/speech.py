"""Have sentences spoken, and cache the audio.

Two engines: espeak-ng speaks every locale, piper one voice that sounds natural, where it is installed. The same markup and voice of one
engine give the same audio, so a prompt is synthesised once and then read from the cache. What piper speaks is played while it is made,
clause by clause. Where it is too busy to begin at once, or fails, espeak-ng speaks instead: a caller is never left in silence.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import structlog

from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.fair_gate import FairGate
from callflow.aio.sounds.piper import Piper
from callflow.aio.sounds.prompt_cache import PromptCache
from callflow.aio.sounds.speech_error import SpeechUnavailable
from callflow.audio.octets import GrowingSound, Octets
from callflow.bxml.spoken import Piece, pieces
from callflow.bxml.voices import Voice
from mediarelay.rtp.g711 import ULAW_SILENCE

MAX_SPEAKERS = 4
"""Processes of espeak-ng running at once."""
MAX_ASKED = 2
"""Clauses that piper has at once: the next one waits in its pipe."""
MAX_NATURAL = 3_000
"""Characters of markup that piper speaks, as they are in memory: three minutes."""
MAX_MAKING = 32
"""Sentences of piper that are being made."""
BEGIN_SECONDS = 2.0
"""In which piper has to say the first clause."""
_RATE = 8_000

log = structlog.get_logger(__name__)


class Speaker:
    """Synthesises sentences as µ-law audio."""

    def __init__(self, cache_dir: str, espeak: Espeak, piper: Piper | None = None) -> None:
        self._cache = PromptCache(Path(cache_dir))
        self._espeak = espeak
        self._espeak_places = FairGate(MAX_SPEAKERS)
        self._piper = piper
        self._piper_places = FairGate(MAX_ASKED)
        self._making: dict[str, _Making] = {}
        self._speaking: dict[str, asyncio.Task[Octets]] = {}
        """What espeak-ng speaks at present."""

    async def say(self, markup: str, voice: Voice, *, account_id: str) -> Octets:
        """Return an account's sentence as µ-law at 8 kHz; `markup` is SSML without its root; raises SpeechUnavailable, NoRoomError."""
        if self._piper is not None and self._piper.speaks(voice) and len(markup) <= MAX_NATURAL:
            sound = await self._say_naturally(self._piper, markup, account_id)
            if sound is not None:
                return sound
        key = _key(self._espeak.program, self._espeak.name_of(voice), markup)
        kept = await asyncio.to_thread(self._cache.open, key)
        if kept is not None:
            return kept
        # All who want a sentence at the same time get the same one, which is made once.
        task = self._speaking.get(key)
        if task is None:
            task = self._speaking[key] = asyncio.get_running_loop().create_task(self._speak(markup, voice, key, account_id))
            task.add_done_callback(lambda _task: self._speaking.pop(key, None))
        return await asyncio.shield(task)

    async def _speak(self, markup: str, voice: Voice, key: str, account_id: str) -> Octets:
        async with self._espeak_places.place(account_id):
            spoken = await self._espeak.speak(markup, voice)
            await asyncio.to_thread(self._cache.write, key, spoken)
        return spoken

    async def warm(self) -> None:
        """Have what takes long to start ready."""
        if self._piper is not None:
            await self._piper.warm()

    async def close(self) -> None:
        """End all engines; what is being made ends where it is."""
        tasks: list[asyncio.Task[Any]] = [*(making.task for making in self._making.values()), *self._speaking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._piper is not None:
            await self._piper.close()

    async def _say_naturally(self, piper: Piper, markup: str, account_id: str) -> Octets | None:
        """Return what piper says, as far as it has come; None if it does not say it, or not at once."""
        key = _key("piper", piper.name, markup)
        kept = await asyncio.to_thread(self._cache.open, key)
        if kept is not None:
            return kept
        making = self._making.get(key) or self._make(piper, markup, key, account_id)
        if making is None:
            return None
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                await making.begun.wait()
        except TimeoutError:
            # It goes on, for the next one who wants this sentence.
            log.info("piper_is_busy", sentences=len(self._making))
            return None
        return making.sound if making.spoke else None

    def _make(self, piper: Piper, markup: str, key: str, account_id: str) -> _Making | None:
        said = pieces(markup)
        if len(self._making) >= MAX_MAKING or not any(isinstance(piece, str) for piece in said):
            return None
        making = self._making[key] = _Making()
        making.task = asyncio.get_running_loop().create_task(self._grow(making, piper, said, key, account_id))
        return making

    async def _grow(self, making: _Making, piper: Piper, said: list[Piece], key: str, account_id: str) -> None:
        """Make a sentence, and cache it; what fails cuts it short."""
        try:
            for piece in said:
                making.sound.append(await self._sound(piper, piece, account_id))
                if isinstance(piece, str):
                    making.spoke = True
                    making.begun.set()
            making.sound.finish()
            await asyncio.to_thread(self._cache.write, key, making.sound[:])
        except SpeechUnavailable as error:
            log.warning("piper_failed", error=str(error), spoke=making.spoke)
        finally:
            making.sound.finish()
            making.begun.set()
            del self._making[key]

    async def _sound(self, piper: Piper, piece: Piece, account_id: str) -> bytes:
        if isinstance(piece, float):
            return bytes((ULAW_SILENCE,)) * round(piece * _RATE)
        async with self._piper_places.place(account_id):
            return await piper.speak(piece)


class _Making:
    """A sentence that is being made, for all who want it meanwhile."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        """Set once the first clause is there, or never comes."""
        self.sound = GrowingSound()
        self.spoke = False


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
