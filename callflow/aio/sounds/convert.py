"""Convert a wav or an mp3 into the audio of a call: µ-law, mono, 8 kHz. Slow for long files: call it in a thread."""

from __future__ import annotations

from collections.abc import Iterator

import miniaudio
import numpy as np
import numpy.typing as npt
import soxr

from callflow.aio.sounds.spool import Spooled
from callflow.audio.mp3 import Mp3
from callflow.audio.sound_error import SoundError
from callflow.audio.wav import Encoding, Wav
from mediarelay.rtp.g711 import alaw_to_pcm16, alaw_to_ulaw, pcm16_to_ulaw, ulaw_to_pcm16

RATE = 8_000
BLOCK_FRAMES = 64 * 1024
"""What is converted at once; the result is the same whatever its size."""
MAX_OCTETS = 3_600 * RATE
"""Of the audio of an mp3, which may be eight times as long as its file; no wav is longer than its own."""
SILENT_FRAMES = 2
"""Behind an mp3: the decoder never gives the last frames that it is shown."""


def to_ulaw(file: Spooled, wav: Wav) -> None:
    """Replace a file by its audio as µ-law at 8 kHz; mono audio at 8 kHz is not resampled. Raises NoRoomError.

    It is done in place: no encoding has fewer octets, and no rate is lower, so what is written stays behind what is read.
    """
    written = 0
    for ulaw in _converted(file, wav):
        file.put(written, ulaw)
        written += len(ulaw)
    file.cut(written)


def mp3_to_ulaw(file: Spooled, mp3: Mp3, sound: Spooled) -> None:
    """Append the audio of an mp3 as µ-law at 8 kHz to an empty `sound`; raises SoundError, NoRoomError."""
    resample = Resampler(mp3.rate)
    try:
        with _Frames(file, mp3) as frames:
            decoded = miniaudio.stream_any(
                frames, miniaudio.FileFormat.MP3, miniaudio.SampleFormat.SIGNED16, 1, mp3.rate, frames_to_read=BLOCK_FRAMES
            )
            for block in decoded:
                sound.append(resample(np.frombuffer(block, np.int16).astype(np.float32)))
                if len(sound) > MAX_OCTETS:
                    raise SoundError("It is longer than an hour.")
    except miniaudio.MiniaudioError as error:
        raise SoundError("It is an mp3 file that cannot be decoded.") from error
    sound.append(resample(np.zeros(0, np.float32), last=True))
    if not len(sound):
        raise SoundError("It holds no audio.")


class _Frames(miniaudio.StreamableSource):  # type: ignore[misc]  # miniaudio ships no types
    """The octets of a file from its first frame on, as the decoder asks for them.

    Silent ones follow the last one.
    """

    def __init__(self, file: Spooled, mp3: Mp3) -> None:
        self._at = mp3.start
        self._file = file
        self._behind = mp3.silence * SILENT_FRAMES

    def read(self, num_bytes: int) -> bytes:
        """Return the next octets; none at the end. The decoder passes `num_bytes` by position."""
        data = self._file[self._at : self._at + num_bytes]
        self._at += len(data)
        if not data:
            data, self._behind = self._behind[:num_bytes], self._behind[num_bytes:]
        return data


class Resampler:
    """Turns floats of one channel into µ-law at 8 kHz."""

    def __init__(self, rate: int) -> None:
        self._stream = None if rate == RATE else soxr.ResampleStream(rate, RATE, 1)

    def __call__(self, samples: npt.NDArray[np.float32], *, last: bool = False) -> bytes:
        """Return what is certain of the next samples, and with the last ones all of it."""
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples, last=last)
        # Clip after resampling, because its ringing may exceed full scale.
        return pcm16_to_ulaw(np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16).tobytes())


def _converted(file: Spooled, wav: Wav) -> Iterator[bytes]:
    resample = Resampler(wav.rate)
    block = BLOCK_FRAMES * wav.frame_octets
    end = wav.start + wav.size
    for at in range(wav.start, end, block):
        frames = file[at : min(at + block, end)]
        if wav.rate == RATE and wav.channels == 1:
            yield _recode(frames, wav.encoding)
        else:
            yield resample(_samples(frames, wav), last=at + block >= end)


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
