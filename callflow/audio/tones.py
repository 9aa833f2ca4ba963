"""Sounds of two frequencies that are made while they are read: ringing, and digits for those who take no telephone events."""

from __future__ import annotations

import math
import struct
from bisect import bisect_right

from callflow.audio.dtmf import with_silences
from mediarelay.rtp.g711 import ULAW_SILENCE, pcm16_to_ulaw

RATE = 8_000
_RING_FREQUENCIES = 440, 480
_RING_AMPLITUDE = 2_300
"""Of each of the two tones: 23 dB below full scale."""
_RING_SECONDS, _RING_PERIOD_SECONDS = 2, 6
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"
"""The digits, row by row."""
_DIGIT_AMPLITUDE = 5_800
"""Of each of the two tones: 15 dB below full scale (ITU-T Q.24 takes -9 to -25 dBm)."""


def digit_frequencies(digit: str) -> tuple[int, int]:
    """Return the two frequencies of a digit in hertz (ITU-T Q.23)."""
    row, column = divmod(KEYS.index(digit.upper()), len(COLUMNS))
    return ROWS[row], COLUMNS[column]


def _tones(frequencies: tuple[int, int], amplitude: int, begin: int, end: int) -> bytes:
    """Return the samples `begin` to `end` of two tones as µ-law."""
    low, high = (2 * math.pi * frequency / RATE for frequency in frequencies)
    samples = (round(amplitude * (math.sin(low * at) + math.sin(high * at))) for at in range(begin, end))
    return pcm16_to_ulaw(struct.pack(f"={end - begin}h", *samples))


def _silence(octets: int) -> bytes:
    return bytes((ULAW_SILENCE,)) * octets


_PERIOD = _tones(_RING_FREQUENCIES, _RING_AMPLITUDE, 0, _RING_SECONDS * RATE) + _silence((_RING_PERIOD_SECONDS - _RING_SECONDS) * RATE)


class Ringback:
    """So many seconds of ringing, two of each six with a tone, as in North America (ITU-T E.180)."""

    def __init__(self, seconds: float) -> None:
        self._size = round(seconds * RATE)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self._size)
        size, start = max(0, stop - start), start % len(_PERIOD)
        return (_PERIOD * (1 + (start + size) // len(_PERIOD)))[start : start + size]


class DigitTones:
    """Digits with their pauses, as they sound."""

    def __init__(self, digits: str, tone_ms: int, gap_ms: int) -> None:
        self._pieces: list[tuple[int, str]] = []
        """Where each tone and each silence begins, and the digit of a tone."""
        self._size = 0
        for digit, silence_ms in with_silences(digits, gap_ms):
            self._append(digit, tone_ms if digit else 0)
            self._append("", silence_ms)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self._size)
        found = b""
        while start < stop:
            index = bisect_right(self._pieces, start, key=lambda piece: piece[0]) - 1
            begin, digit = self._pieces[index]
            end = min(stop, self._pieces[index + 1][0] if index + 1 < len(self._pieces) else self._size)
            found += _tones(digit_frequencies(digit), _DIGIT_AMPLITUDE, start - begin, end - begin) if digit else _silence(end - start)
            start = end
        return found

    def _append(self, digit: str, milliseconds: int) -> None:
        if milliseconds:
            self._pieces.append((self._size, digit))
            self._size += milliseconds * RATE // 1000
