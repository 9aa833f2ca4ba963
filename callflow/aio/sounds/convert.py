"""Convert a WAV into the audio of a call: µ-law, mono, 8 kHz. Slow for long files: call it in a thread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import soxr

from callflow.aio.sounds.spool import Spooled
from callflow.audio.wav import Encoding, Wav
from mediarelay.rtp.g711 import alaw_to_pcm16, alaw_to_ulaw, pcm16_to_ulaw, ulaw_to_pcm16

RATE = 8_000
BLOCK_FRAMES = 64 * 1024
"""What is converted at once; the result is the same whatever its size."""


def to_ulaw(file: Spooled, wav: Wav) -> None:
    """Replace a file by its audio as µ-law at 8 kHz; mono audio at 8 kHz is not resampled. Raises NoRoomError.

    It is done in place: no encoding has fewer octets, and no rate is lower, so what is written stays behind what is read.
    """
    written = 0
    for ulaw in _converted(file, wav):
        file.put(written, ulaw)
        written += len(ulaw)
    file.cut(written)


def _converted(file: Spooled, wav: Wav) -> Iterator[bytes]:
    resampler = None if wav.rate == RATE else soxr.ResampleStream(wav.rate, RATE, 1)
    block = BLOCK_FRAMES * wav.frame_octets
    end = wav.start + wav.size
    for at in range(wav.start, end, block):
        frames = file[at : min(at + block, end)]
        if resampler is None and wav.channels == 1:
            yield _recode(frames, wav.encoding)
            continue
        samples = _samples(frames, wav)
        if resampler is not None:
            samples = resampler.resample_chunk(samples, last=at + block >= end)
        # Clip after resampling, because its ringing may exceed full scale.
        linear = np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16)
        yield pcm16_to_ulaw(linear.tobytes())


def _linear(frames: bytes, encoding: Encoding) -> bytes:
    """Return the audio as 16-bit samples in native byte order."""
    match encoding:
        case Encoding.ULAW:
            return ulaw_to_pcm16(frames)
        case Encoding.ALAW:
            return alaw_to_pcm16(frames)
        case Encoding.PCM16:
            return np.frombuffer(frames, "<i2").astype(np.int16).tobytes()


def _recode(frames: bytes, encoding: Encoding) -> bytes:
    match encoding:
        case Encoding.ULAW:
            return frames
        case Encoding.ALAW:
            return alaw_to_ulaw(frames)
        case Encoding.PCM16:
            return pcm16_to_ulaw(_linear(frames, encoding))


def _samples(frames: bytes, wav: Wav) -> npt.NDArray[np.float32]:
    """Return the audio as one channel of floats; stereo is mixed."""
    samples = np.frombuffer(_linear(frames, wav.encoding), np.int16).astype(np.float32)
    return samples if wav.channels == 1 else samples.reshape(-1, 2).mean(axis=1, dtype=np.float32)
