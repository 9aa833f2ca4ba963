"""Bring linear audio of 16 or 24 kHz down to the 8 kHz of a call, without the delay that a resampler of files may take.

A filter of some milliseconds keeps what a telephone band holds, and every second or third sample of it is the result. What it has heard
goes on into the next piece, so that pieces of any size are one sound.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mediarelay.rtp.g711 import pcm16_to_ulaw

RATE = 8_000
_CUTOFF = 3_600
"""Hertz that pass; half of the rate is down by 60 dB or so."""
_TAPS_EACH = 40
"""Of the filter, for each sample of the result: it delays by half of that."""

Samples = npt.NDArray[np.float32]


class Decimator:
    """Takes 16-bit samples of a multiple of 8 kHz, the low octet first."""

    def __init__(self, rate: int) -> None:
        self._factor = rate // RATE
        self._filter = _low_pass(rate, _TAPS_EACH * self._factor + 1) if self._factor > 1 else np.ones(1, np.float32)
        self._heard: Samples = np.zeros(len(self._filter) - 1, np.float32)
        """What the filter needs of the past, and what was too little for a sample of the result."""

    def ulaw(self, samples: bytes) -> bytes:
        """Return the next audio as µ-law."""
        self._heard = np.concatenate((self._heard, np.frombuffer(samples, "<i2").astype(np.float32)))
        count = (len(self._heard) - len(self._filter) + 1) // self._factor
        if count <= 0:
            return b""
        # The last samples of those that each result takes are its newest.
        used = self._heard[: len(self._filter) - 1 + count * self._factor]
        result = np.convolve(used, self._filter, "valid")[self._factor - 1 :: self._factor]
        self._heard = self._heard[count * self._factor :]
        return pcm16_to_ulaw(np.clip(np.rint(result), -32_768, 32_767).astype(np.int16).tobytes())


def _low_pass(rate: int, taps: int) -> Samples:
    """Return a windowed sinc that leaves the level of what passes as it is."""
    at = np.arange(taps) - (taps - 1) / 2
    shape = np.sinc(2 * _CUTOFF / rate * at) * np.hamming(taps)
    result: Samples = (shape / shape.sum()).astype(np.float32)
    return result
