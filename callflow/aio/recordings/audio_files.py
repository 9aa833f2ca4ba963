"""The files of recordings: 16-bit samples at 8 kHz in, wav or mp3 out. Everything here waits for the disk: call it in a thread."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import BinaryIO, Protocol

import lameenc

from callflow.audio.mp3 import info_frame
from callflow.bxml.recording import FileFormat

RATE = 8_000
_SAMPLE_OCTETS = 2
_PROMISED_OCTETS = 2**31 - 2**16
_MP3_KBPS = 32
"""Of each channel."""
_MP3_FRAME_OCTETS = {channels: 72 * _MP3_KBPS * channels * 1000 // RATE for channels in (1, 2)}
"""Of MPEG-2.5 at 8 kHz; it comes out even."""
_MP3_QUALITY = 7
"""LAME's scale: 2 is the best, 7 the fastest."""


class AudioFile(Protocol):
    """A file that is being written."""

    def write(self, samples: bytes) -> None:
        """Append 16-bit samples, of two channels in turn; raises OSError."""

    def close(self) -> None:
        """Complete the file; raises OSError."""


class WavFile:
    """A wav of 16-bit samples. Until it is complete its header promises more than there is: what a killed process leaves can be played."""

    def __init__(self, path: Path, channels: int) -> None:
        self._file = wave.open(str(path), "wb")
        self._file.setnchannels(channels)
        self._file.setsampwidth(_SAMPLE_OCTETS)
        self._file.setframerate(RATE)
        self._file.setnframes(_PROMISED_OCTETS // (_SAMPLE_OCTETS * channels))

    def write(self, samples: bytes) -> None:
        """Append 16-bit samples, of two channels in turn; raises OSError."""
        self._file.writeframesraw(samples)

    def close(self) -> None:
        """Complete the file; raises OSError."""
        self._file.close()


class Mp3File:
    """An mp3 of a constant bit rate, behind a frame that says where its audio begins and ends."""

    def __init__(self, path: Path, channels: int) -> None:
        self._file: BinaryIO = path.open("wb")
        self._channels = channels
        self._encoder = lameenc.Encoder()
        self._encoder.silence()
        self._encoder.set_in_sample_rate(RATE)
        self._encoder.set_channels(channels)
        self._encoder.set_bit_rate(_MP3_KBPS * channels)
        self._encoder.set_quality(_MP3_QUALITY)
        self._first = b""
        self._octets = 0
        self._samples = 0

    def write(self, samples: bytes) -> None:
        """Append 16-bit samples, of two channels in turn; raises OSError."""
        self._samples += len(samples) // (_SAMPLE_OCTETS * self._channels)
        self._append(bytes(self._encoder.encode(samples)))

    def close(self) -> None:
        """Complete the file; raises OSError."""
        with self._file:
            if not self._samples:
                # A file without a frame is none that anything plays.
                self.write(bytes(_SAMPLE_OCTETS * self._channels))
            self._append(bytes(self._encoder.flush()))
            self._file.seek(0)
            self._file.write(info_frame(self._first, self._octets // _MP3_FRAME_OCTETS[self._channels], self._samples))

    def _append(self, frames: bytes) -> None:
        if frames and not self._first:
            self._first = frames[: _MP3_FRAME_OCTETS[self._channels]]
            self._file.write(info_frame(self._first, 0, 0))
        self._octets += len(frames)
        self._file.write(frames)
        self._file.flush()


def create(path: Path, file_format: FileFormat, channels: int) -> AudioFile:
    """Create a file and the folder around it; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return Mp3File(path, channels) if file_format == "mp3" else WavFile(path, channels)
