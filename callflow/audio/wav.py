"""Find the audio of a WAV file; pure, and safe for files from untrusted servers.

The standard library's reader knows neither G.711 nor the placeholder sizes that programs write to a pipe.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from callflow.audio.octets import Octets
from callflow.audio.sound_error import SoundError

MAX_CHUNKS = 100
"""Chunks of one file; real files have two to five before the audio."""
MIN_RATE, MAX_RATE = 8_000, 192_000
_FORMAT = struct.Struct("<HHIIHH")
_UNKNOWN = 0xFFFFFFFF
_EXTENSIBLE = 0xFFFE
_EXTENSIBLE_FORMAT_AT = 24
_FORMAT_OCTETS = _EXTENSIBLE_FORMAT_AT + 2
"""What is read of a format; files may have more."""


class Encoding(IntEnum):
    """The encodings that can be played, by format tag."""

    PCM16 = 1
    ALAW = 6
    ULAW = 7


_BITS = {Encoding.PCM16: 16, Encoding.ALAW: 8, Encoding.ULAW: 8}
_NAMES = {0x0002: "ADPCM", 0x0003: "floating point", 0x0011: "IMA ADPCM", 0x0031: "GSM", 0x0055: "mp3"}


@dataclass(frozen=True, slots=True)
class Wav:
    """The encoding of a file's audio, and where it stands; `size` octets are a whole number of frames."""

    encoding: Encoding
    channels: int
    rate: int
    start: int
    size: int

    @property
    def frame_octets(self) -> int:
        """The octets of one moment: a sample of each channel."""
        return self.channels * _BITS[self.encoding] // 8

    @classmethod
    def parse(cls, data: Octets) -> Self:
        """Read a file's chunks up to its audio; raises SoundError."""
        if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
            raise SoundError("It is not a wav file.")
        form: tuple[Encoding, int, int] | None = None
        position = 12
        for _ in range(MAX_CHUNKS):
            name, start, size = _find_chunk(data, position)
            position = start + size + size % 2
            if name == b"fmt ":
                form = _read_format(data[start : start + min(size, _FORMAT_OCTETS)])
            elif name == b"data":
                if form is None:
                    raise SoundError("Its audio comes before its format.")
                encoding, channels, rate = form
                frame = channels * _BITS[encoding] // 8
                whole = min(size, len(data) - start) // frame * frame
                if not whole:
                    raise SoundError("It holds no audio.")
                return cls(encoding, channels, rate, start, whole)
        raise SoundError("It has too many chunks.")


def _find_chunk(data: Octets, position: int) -> tuple[bytes, int, int]:
    """Return a chunk's name, where its octets begin, and how many it says there are.

    Audio of size 0 that the file's own size does not cover, or covers whatever it is, was written to a pipe, before its size was known:
    it goes on to the end.
    """
    if position + 8 > len(data):
        raise SoundError("It holds no audio.")
    start = position + 8
    name, size = struct.unpack("<4sI", data[position:start])
    covered = int.from_bytes(data[4:8], "little")
    if name == b"data" and not size and (covered == _UNKNOWN or 8 + covered <= start):
        size = len(data) - start
    return name, start, size


def _read_format(chunk: bytes) -> tuple[Encoding, int, int]:
    if len(chunk) < _FORMAT.size:
        raise SoundError("Its format is cut short.")
    tag, channels, rate, _, _, bits = _FORMAT.unpack_from(chunk)
    if tag == _EXTENSIBLE and len(chunk) >= _EXTENSIBLE_FORMAT_AT + 2:
        (tag,) = struct.unpack_from("<H", chunk, _EXTENSIBLE_FORMAT_AT)
    try:
        encoding = Encoding(tag)
    except ValueError:
        shown = _NAMES.get(tag, f"format {tag}")
        raise SoundError(f"It holds {shown}; only 16-bit PCM, µ-law and A-law can be played.") from None
    if bits != _BITS[encoding]:
        raise SoundError(f"It has {bits} bits a sample; PCM must have 16, µ-law and A-law 8.")
    if channels not in (1, 2):
        raise SoundError(f"It has {channels} channels; only mono and stereo can be played.")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise SoundError(f"It has {rate} samples a second; {MIN_RATE} to {MAX_RATE} can be played.")
    return encoding, channels, rate
