"""Fetch and decode the sound files of `<PlayAudio>`."""

from __future__ import annotations

import asyncio

from callflow.aio.convert import to_ulaw
from callflow.audio.wav import Wav, WavError
from callflow.engine.effects import AudioWanted
from voiceapps.daemon.outbound import WebhookClient

MAX_SOUND_BYTES = 32 * 1024 * 1024
"""Longest file that is fetched: an hour of G.711, three minutes of CD stereo."""
MAX_DECODERS = 2
"""Files decoded at once; each may take a few times its size in memory."""


class SoundUnavailable(Exception):
    """A sound that cannot be played; the text says why in one sentence."""


class SoundFetcher:
    """Fetches URLs as µ-law audio."""

    def __init__(self, client: WebhookClient) -> None:
        self._client = client
        self._decoders = asyncio.Semaphore(MAX_DECODERS)

    async def fetch(self, wanted: AudioWanted) -> bytes:
        """Return a file's audio as µ-law at 8 kHz; raises SoundUnavailable."""
        answer = await self._client.fetch(
            wanted.url,
            username=wanted.username,
            password=wanted.password,
            timeout_seconds=wanted.timeout_seconds,
            max_bytes=MAX_SOUND_BYTES,
        )
        if answer.status is None:
            raise SoundUnavailable(f"<PlayAudio> {wanted.url} could not be fetched. {answer.error}")
        if not 200 <= answer.status < 300:
            raise SoundUnavailable(f"<PlayAudio> {wanted.url} could not be fetched. It answered {answer.status}.")
        async with self._decoders:
            try:
                return await asyncio.to_thread(decode_sound, answer.body)
            except WavError as error:
                raise SoundUnavailable(f"<PlayAudio> {wanted.url} cannot be played. {error}") from error


def decode_sound(data: bytes) -> bytes:
    """Return a file's audio as µ-law at 8 kHz; raises WavError."""
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        raise WavError("It is an mp3 file; only wav can be played.")
    return to_ulaw(Wav.parse(data))
