"""What was recorded of callers that were never silent: each silent 20 ms between the first word and the last is a lost frame."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.voice.tally import FRAME_SECONDS, FRAME_TICKS

LOUD = 1_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """The files of one run: `shortest` is in seconds, from the first word to the last."""

    files: int
    holes: int
    shortest: float


def read_recordings(folder: Path) -> Recorded:
    """Look at every wav below a folder."""
    each = [words(path) for path in folder.glob("*/*.wav")]
    return Recorded(len(each), sum(holes for _, holes in each), min((frames * FRAME_SECONDS for frames, _ in each), default=0.0))


def words(path: Path) -> tuple[int, int]:
    """Return how many frames there are from the first word of the first channel to its last, and how many of them are silent."""
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[:: file.getnchannels()]
    return span(np.abs(samples[: len(samples) // FRAME_TICKS * FRAME_TICKS].astype(np.int32)).reshape(-1, FRAME_TICKS).max(axis=1) > LOUD)


def span(loud: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return the number of frames from the first loud one to the last, and how many of them are not loud."""
    found = np.flatnonzero(loud)
    if not len(found):
        return 0, 0
    frames = int(found[-1] - found[0]) + 1
    return frames, frames - len(found)
