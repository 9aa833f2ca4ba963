"""The files of recordings, and how long they are, as the call flow writes them: 16-bit wav at 8 kHz, mp3 at a constant bit rate."""

from __future__ import annotations

import struct

MEDIA_TYPES = {"wav": "audio/vnd.wave", "mp3": "audio/mpeg"}
OCTETS_PER_SECOND = {"wav": 16_000, "mp3": 4_000}
"""Of each channel."""
WAV_HEADER_OCTETS = 44


def duration_ms(octets: int, file_format: str, channels: int) -> int:
    """Return the milliseconds of audio in a file of so many octets that was not completed."""
    header = WAV_HEADER_OCTETS if file_format == "wav" else 0
    return max(0, octets - header) * 1000 // (OCTETS_PER_SECOND[file_format] * channels)


def ulaw_wav(ulaw: bytes) -> bytes:
    """Return a wav file of µ-law at 8 kHz: its format 7, which browsers and players take as it is."""
    form = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 7, 1, 8_000, 8_000, 1, 8, 0)
    fact = struct.pack("<4sII", b"fact", 4, len(ulaw))
    data = struct.pack("<4sI", b"data", len(ulaw)) + ulaw + b"\0" * (len(ulaw) % 2)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(fact) + len(data), b"WAVE") + form + fact + data
