"""Recognise an mp3 file and say what its audio is, safe for files from untrusted servers; and say of ours where its audio begins and ends.

A file is taken for one if, behind a tag, two frames in a row have the same kind of header (ISO 11172-3 section 2.4.1.3 and its
extensions to lower rates). Any eleven bits set could be a header; two that lead to one another are not there by chance.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from callflow.audio.octets import Octets
from callflow.audio.sound_error import SoundError

MAX_SEARCHED = 64 * 1024
"""Octets behind the tag in which the first frame has to begin."""
_HEADER_OCTETS = 4
_TAG_OCTETS = 10
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By version: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5."""
_LAYER_3 = 1
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MONO = 3
SAMPLES_OF_FRAME = 576
"""In each frame of MPEG-2 and MPEG-2.5."""
ENCODER_DELAY = 576
"""Samples of silence that LAME's encoder puts before the audio."""
_SIDE_OCTETS = {1: 9, 2: 17}
"""Behind the header of such a frame, by its channels."""
_HAS_FRAMES_AND_OCTETS = 3
_CONSTANT_RATE = 1


@dataclass(frozen=True, slots=True)
class Mp3:
    """The rate and the channels of a file's audio, and where its first frame begins."""

    rate: int
    channels: int
    start: int
    silence: bytes
    """A frame like the first one, in which nothing is heard."""

    @classmethod
    def parse(cls, data: Octets) -> Self:
        """Find the first frame; raises SoundError."""
        begin = _after_tag(data)
        window = data[begin : begin + MAX_SEARCHED]
        at = window.find(b"\xff")
        while at >= 0:
            frame = _Frame.parse(window[at : at + _HEADER_OCTETS])
            if frame is not None and _goes_on(data, begin + at, frame):
                silence = window[at : at + _HEADER_OCTETS].ljust(frame.octets, b"\0")
                return cls(frame.rate, frame.channels, begin + at, silence)
            at = window.find(b"\xff", at + 1)
        raise SoundError("It is neither a wav nor an mp3 file.")


@dataclass(frozen=True, slots=True)
class _Frame:
    version: int
    rate: int
    channels: int
    octets: int

    @classmethod
    def parse(cls, header: bytes) -> Self | None:
        """Return what the header of a frame says, None if it is none of layer 3."""
        if len(header) < _HEADER_OCTETS or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
            return None
        version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
        kbps, rate = header[2] >> 4, header[2] >> 2 & 3
        if version not in _RATES or layer != _LAYER_3 or rate == 3 or kbps in (0, 15):
            return None
        hertz = _RATES[version][rate]
        scale, table = (144, _KBPS_1) if version == 3 else (72, _KBPS_2)
        octets = scale * table[kbps] * 1000 // hertz + (header[2] >> 1 & 1)
        return cls(version, hertz, 1 if header[3] >> 6 == _MONO else 2, octets)


def _goes_on(data: Octets, at: int, frame: _Frame) -> bool:
    """Return whether a like frame, or the end of the file, follows."""
    after = at + frame.octets
    if after >= len(data):
        return after == len(data)
    following = _Frame.parse(data[after : after + _HEADER_OCTETS])
    return following is not None and (following.version, following.rate) == (frame.version, frame.rate)


def _after_tag(data: Octets) -> int:
    """Return where the audio may begin: behind an ID3 tag, whose size has seven bits in each octet."""
    head = data[:_TAG_OCTETS]
    if head[:3] != b"ID3" or len(head) < _TAG_OCTETS:
        return 0
    size = 0
    for octet in head[6:10]:
        size = size << 7 | octet & 0x7F
    return _TAG_OCTETS + size


def info_frame(first: bytes, frames: int, samples: int) -> bytes:
    """Return a silent frame that says how many frames of a constant rate follow, and which of their samples are audio.

    `first` is the first of those frames, of MPEG-2 or MPEG-2.5. What encoders put around the audio is left out by players that know
    this frame, which is nearly all of them; to others it is a moment of silence.
    """
    frame = _Frame.parse(first[:_HEADER_OCTETS])
    if frame is None:
        raise SoundError("It does not begin with a frame.")
    header = first[:2] + bytes((first[2] & ~2, first[3]))
    size = frame.octets - (first[2] >> 1 & 1)
    padding = max(0, frames * SAMPLES_OF_FRAME - ENCODER_DELAY - samples)
    cut = (ENCODER_DELAY << 12 | min(padding, 0xFFF)).to_bytes(3, "big")
    counts = struct.pack(">III", _HAS_FRAMES_AND_OCTETS, frames, (frames + 1) * size)
    encoder = b"LAME3.100" + bytes((_CONSTANT_RATE,)) + bytes(11) + cut
    return (header + bytes(_SIDE_OCTETS[frame.channels]) + b"Info" + counts + encoder).ljust(size, b"\0")
