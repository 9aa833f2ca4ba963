"""Recordings of callers that were silent at times."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

from bench.voice.tally import FRAME_TICKS


def recording(path: Path, loud: list[bool], *, channels: int = 1) -> None:
    """Write a wav whose first channel is loud in some frames; the second, if there is one, is loud in the others."""
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, 8_000, 0, "NONE", ""))
        for frame in loud:
            samples = (20_000 * frame, 20_000 * (not frame))[:channels]
            file.writeframes(struct.pack(f"<{channels}h", *samples) * FRAME_TICKS)
