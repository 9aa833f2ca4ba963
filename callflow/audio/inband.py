"""Hear digits as tones (ITU-T Q.23, Q.24), from callers who send no telephone events.

Theory of operation. Every 10 ms the last 25 ms are looked at. A window holds a digit if
- it is loud enough to be meant,
- one row frequency and one column frequency make up nearly all of its energy: speech and music spread theirs, and noise does too. A
  window of 25 ms tells frequencies 40 Hz apart, so each is looked for at its place and beside it, as telephones may be off by 1.8 %,
- the two are about equally loud: lines weaken the upper one, by 8 dB at most,
- little is left at twice the two frequencies: voices have harmonics, tones have none.

One window may look so by chance, and a voice may hold a note: a digit begins with three windows in a row that say the same, which
takes 45 ms, and ends when four in a row do not: a frame of silence in its middle, where a packet is lost or late, is no end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from callflow.audio.tones import COLUMNS, KEYS, RATE, ROWS
from mediarelay.rtp.g711 import ULAW_SILENCE, ulaw_to_pcm16

WINDOW, HOP = 200, 80
BEGINS, ENDS = 3, 4
"""Windows in a row."""
_MIN_ENERGY = WINDOW * 150.0**2
"""Of a window: a tone 44 dB below full scale."""
_MIN_SHARE = 0.72
_MAX_TWIST = 10 ** (8 / 10), 10 ** (6 / 10)
"""How much stronger the row may be than the column, and the column than the row, in energy."""
_MAX_HARMONICS = 0.08
"""Of the energy of the window."""
_OFF = 0.988, 1.0, 1.012
"""Where each frequency is looked for."""
_FREQUENCIES = [harmonic * frequency * off for harmonic in (1, 2) for frequency in (*ROWS, *COLUMNS) for off in _OFF]
_COLUMNS_AT, _HARMONICS_AT = len(_OFF) * len(ROWS), len(_OFF) * (len(ROWS) + len(COLUMNS))

Samples = npt.NDArray[np.float32]


def _basis() -> Samples:
    turns = np.outer(2 * np.pi * np.array(_FREQUENCIES) / RATE, np.arange(WINDOW))
    return np.concatenate((np.cos(turns), np.sin(turns))).astype(np.float32)


_BASIS = _basis()


class InbandDetector:
    """A tap that hears digits; `tell` gets each at its beginning."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._heard: Samples = np.zeros(0, np.float32)
        self._pressed: str | None = None
        self._run: tuple[str | None, int] = (None, 0)
        """What the last windows said, and how many in a row."""
        self._tell = tell

    def __call__(self, ulaw: bytes) -> None:
        """Hear a frame."""
        if ulaw.count(ULAW_SILENCE) == len(ulaw) and self._pressed is None and self._run[0] is None:
            self._heard = self._heard[:0]
            return
        samples = np.frombuffer(ulaw_to_pcm16(ulaw), np.int16).astype(np.float32)
        self._heard = np.concatenate((self._heard, samples))
        while len(self._heard) >= WINDOW:
            self._take(digit_in(self._heard[:WINDOW]))
            self._heard = self._heard[HOP:]

    def _take(self, digit: str | None) -> None:
        self._run = (digit, self._run[1] + 1) if digit == self._run[0] else (digit, 1)
        if digit is None and self._run[1] >= ENDS:
            self._pressed = None
        elif digit is not None and digit != self._pressed and self._run[1] >= BEGINS:
            self._pressed = digit
            self._tell(digit)


def digit_in(window: Samples) -> str | None:
    """Return the digit that `WINDOW` samples hold, or None."""
    energy = float(window @ window)
    if energy < _MIN_ENERGY:
        return None
    parts = _BASIS @ window
    # The energy of each frequency, by that of a window that is nothing but it.
    shares = (parts[: len(_FREQUENCIES)] ** 2 + parts[len(_FREQUENCIES) :] ** 2) * (2 / (WINDOW * energy))
    row, column = int(shares[:_COLUMNS_AT].argmax()), _COLUMNS_AT + int(shares[_COLUMNS_AT:_HARMONICS_AT].argmax())
    low, high = float(shares[row]), float(shares[column])
    if low + high < _MIN_SHARE or low > high * _MAX_TWIST[0] or high > low * _MAX_TWIST[1]:
        return None
    harmonics = float(shares[_HARMONICS_AT + row] + shares[_HARMONICS_AT + column])
    return KEYS[row // len(_OFF) * len(COLUMNS) + (column - _COLUMNS_AT) // len(_OFF)] if harmonics <= _MAX_HARMONICS else None
