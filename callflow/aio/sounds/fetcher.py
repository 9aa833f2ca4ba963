"""Fetch and decode the sound files of `<PlayAudio>`.

A download is written to the spool as it comes, and decoded there. Calls that play equal files at the same time share one of them;
what was fetched is compared, not where from: a URL may give another file to each call. An answer that says how long it lasts
(`Cache-Control`, `Expires`) serves the calls of its account for so long, without being asked for.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from weakref import WeakValueDictionary

from callflow.aio.sounds.cache import SoundCache
from callflow.aio.sounds.convert import mp3_to_ulaw, to_ulaw
from callflow.aio.sounds.fair_gate import FairGate
from callflow.aio.sounds.spool import Spool, Spooled
from callflow.audio.mp3 import Mp3
from callflow.audio.octets import blocks
from callflow.audio.sound_error import SoundError
from callflow.audio.wav import Wav
from callflow.engine.effects import AudioWanted
from voiceapps.daemon.outbound import TooLargeError, WebhookClient
from voiceapps.rules.http.content_coding import decompressed_parts, is_compressed

MAX_SOUND_BYTES = 32 * 1024 * 1024
"""Longest file that is fetched: an hour of G.711, three minutes of CD stereo."""
MAX_DECODERS = 2
"""Files decoded at once."""
MAX_THREADS = 2 * MAX_DECODERS
"""Those that are not decoding write downloads."""


class SoundUnavailable(Exception):
    """A sound that cannot be played; the text says why in one sentence."""


class SoundFetcher:
    """Fetches URLs as µ-law audio."""

    def __init__(self, client: WebhookClient, spool: Spool) -> None:
        self._cache = SoundCache()
        self._client = client
        self._decoders = FairGate(MAX_DECODERS)
        self._playing: WeakValueDictionary[bytes, Spooled] = WeakValueDictionary()
        """The sounds that calls hold, by the digest of their files."""
        self._spool = spool
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="sounds")

    async def fetch(self, wanted: AudioWanted, *, account_id: str) -> Spooled:
        """Return an account's file as µ-law at 8 kHz; raises SoundUnavailable, NoRoomError."""
        key = account_id, wanted.url, wanted.username, wanted.password
        kept = self._cache.get(key, time.monotonic())
        if kept is not None:
            return kept
        download = self._spool.new()
        answer = await self._client.fetch(
            wanted.url,
            username=wanted.username,
            password=wanted.password,
            timeout_seconds=wanted.timeout_seconds,
            max_bytes=MAX_SOUND_BYTES,
            keep=partial(self._keep, download),
        )
        problem = answer.problem()
        if problem:
            raise SoundUnavailable(f"<PlayAudio> {wanted.url} could not be fetched. {problem}")
        try:
            async with self._decoders.place(account_id):
                sound = await asyncio.get_running_loop().run_in_executor(self._threads, self._shared, download, answer.coding)
        except TooLargeError as error:
            raise SoundUnavailable(f"<PlayAudio> {wanted.url} could not be fetched. {error}") from error
        except SoundError as error:
            raise SoundUnavailable(f"<PlayAudio> {wanted.url} cannot be played. {error}") from error
        self._cache.put(key, sound, time.monotonic(), answer.fresh_seconds)
        return sound

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _keep(self, download: Spooled, data: bytes) -> None:
        if not download.remember(data):
            await asyncio.get_running_loop().run_in_executor(self._threads, download.append, data)

    # In a thread.

    def _shared(self, download: Spooled, coding: str) -> Spooled:
        """Return the sound of a download, which may have been made of an equal one already."""
        file = self._decompressed(download) if is_compressed(coding) else download
        digest = hashlib.blake2b(digest_size=32)
        for block in blocks(file):
            digest.update(block)
        known = self._playing.get(digest.digest())
        if known is not None:
            return known
        return self._playing.setdefault(digest.digest(), decoded_sound(file, self._spool))

    def _decompressed(self, download: Spooled) -> Spooled:
        """Return a download without its Content-Encoding; what is not so compressed stays as it is."""
        plain = self._spool.new()
        try:
            for part in decompressed_parts(blocks(download), MAX_SOUND_BYTES):
                plain.append(part)
        except ValueError:
            return download
        if len(plain) > MAX_SOUND_BYTES:
            raise TooLargeError(MAX_SOUND_BYTES)
        return plain


def decoded_sound(file: Spooled, spool: Spool) -> Spooled:
    """Return a file's audio as µ-law at 8 kHz, in the place of the file or in the spool; raises SoundError, NoRoomError."""
    if file[:4] == b"RIFF":
        to_ulaw(file, Wav.parse(file))
        return file
    sound = spool.new()
    mp3_to_ulaw(file, Mp3.parse(file), sound)
    return sound
