"""Write down what is said in a recording of ours, faster than it was said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import miniaudio
import numpy as np

from callflow.aio.recognition.events import Event, Over, WordsHeard
from callflow.aio.recognition.listening import FINISH_SECONDS, RATE
from callflow.aio.recognition.recogniser import NoRecogniser, Recogniser, RecognitionFailed, find_recogniser
from callflow.aio.sounds.octet_file import OctetFile
from callflow.audio.mp3 import Mp3
from callflow.audio.sound_error import SoundError
from callflow.audio.wav import Encoding, Wav
from mediarelay.rtp.g711 import pcm16_to_ulaw
from voiceapps.rules.transcripts import Clip, Transcript

_ANYBODY = ""
"""Each file has a recogniser of its own, so that nobody shares it."""
_LANGUAGE = "en"


async def recognise_file(path: Path, phrases: Sequence[str] = ()) -> Transcript:
    """Return what is said in a wav or an mp3, each channel by itself; raises NoRecogniser, RecognitionFailed, SoundError, OSError.

    Cancelling it ends its process.
    """
    recogniser = find_recogniser(most=1)
    if recogniser is None:
        raise NoRecogniser("Nothing that recognises speech is installed.")
    clips: list[Clip] = []
    try:
        for channel in range(await asyncio.to_thread(channels_of, path)):
            clips += await _recognise(recogniser, channel, path, phrases)
    finally:
        await recogniser.close()
    return Transcript(tuple(sorted(clips, key=lambda clip: clip.start)))


def channels_of(path: Path) -> int:
    """Return how many channels a recording has; raises SoundError, OSError."""
    return _parse(path)[1].channels


def parts_of(path: Path, channel: int) -> Iterator[bytes]:
    """Yield one channel of a recording, a second at a time, as µ-law; raises SoundError, OSError."""
    file, form = _parse(path)
    blocks = _wav_blocks(file, form) if isinstance(form, Wav) else _mp3_blocks(path, form)
    for block in blocks:
        yield pcm16_to_ulaw(np.frombuffer(block, np.int16).reshape(-1, form.channels)[:, channel].tobytes())


async def _recognise(recogniser: Recogniser, channel: int, path: Path, phrases: Sequence[str]) -> list[Clip]:
    clips: list[Clip] = []
    over: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    listening = recogniser.listen(_ANYBODY, _LANGUAGE, phrases, partial(_take, clips, over, channel))
    try:
        parts = parts_of(path, channel)
        while not over.done() and (part := await asyncio.to_thread(next, parts, b"")):
            listening.hear(part)
            async with asyncio.timeout(FINISH_SECONDS):
                await listening.wait_for_room()
        listening.finish()
        problem = await over
    except TimeoutError:
        problem = f"The recogniser has taken nothing for {FINISH_SECONDS:g} s."
    finally:
        listening.close()
        await listening.closed()
    if problem is not None:
        raise RecognitionFailed(problem)
    return clips


def _take(clips: list[Clip], over: asyncio.Future[str | None], speaker: int, event: Event) -> None:
    match event:
        case WordsHeard(text, confidence, start, end):
            clips.append(Clip(speaker, text, confidence, start, end))
        case Over(sentence):
            over.set_result(sentence)
        case _:
            pass


def _parse(path: Path) -> tuple[OctetFile, Wav | Mp3]:
    file = OctetFile.open(str(path))
    form = Wav.parse(file) if file[:4] == b"RIFF" else Mp3.parse(file)
    if form.rate != RATE or (isinstance(form, Wav) and form.encoding is not Encoding.PCM16):
        raise SoundError("It is not a recording of ours.")
    return file, form


def _wav_blocks(file: OctetFile, wav: Wav) -> Iterator[bytes]:
    block = RATE * wav.frame_octets
    for at in range(wav.start, wav.start + wav.size, block):
        samples = file[at : min(at + block, wav.start + wav.size)]
        yield np.frombuffer(samples, "<i2").astype(np.int16).tobytes()


def _mp3_blocks(path: Path, mp3: Mp3) -> Iterator[bytes]:
    try:
        for block in miniaudio.stream_file(str(path), miniaudio.SampleFormat.SIGNED16, mp3.channels, mp3.rate, RATE):
            yield bytes(block)
    except miniaudio.MiniaudioError as error:
        raise SoundError("It is an mp3 file that cannot be decoded.") from error
