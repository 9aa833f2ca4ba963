"""Convert a WAV into the audio of a call: µ-law, mono, 8 kHz. Slow for long files: call it in a thread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from callflow.audio.wav import Encoding, Wav
from mediarelay.rtp.g711 import alaw_to_pcm16, alaw_to_ulaw, pcm16_to_ulaw, ulaw_to_pcm16

RATE = 8_000


def to_ulaw(wav: Wav) -> bytes:
    """Return the audio as µ-law at 8 kHz; mono audio at 8 kHz is not resampled."""
    if wav.channels == 1 and wav.rate == RATE:
        return _recode(wav)
    samples = _samples(wav)
    if wav.rate != RATE:
        samples = soxr.resample(samples, wav.rate, RATE)
    # Clip after resampling, because its ringing may exceed full scale.
    linear = np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16)
    return pcm16_to_ulaw(linear.tobytes())


def _linear(wav: Wav) -> bytes:
    """Return the audio as 16-bit samples in native byte order."""
    match wav.encoding:
        case Encoding.ULAW:
            return ulaw_to_pcm16(wav.frames)
        case Encoding.ALAW:
            return alaw_to_pcm16(wav.frames)
        case Encoding.PCM16:
            return np.frombuffer(wav.frames, "<i2").astype(np.int16).tobytes()


def _recode(wav: Wav) -> bytes:
    match wav.encoding:
        case Encoding.ULAW:
            return wav.frames
        case Encoding.ALAW:
            return alaw_to_ulaw(wav.frames)
        case Encoding.PCM16:
            return pcm16_to_ulaw(_linear(wav))


def _samples(wav: Wav) -> npt.NDArray[np.float32]:
    """Return the audio as one channel of floats; stereo is mixed."""
    samples = np.frombuffer(_linear(wav), np.int16).astype(np.float32)
    return samples if wav.channels == 1 else samples.reshape(-1, 2).mean(axis=1, dtype=np.float32)
