"""What was understood of a recording, and which recordings are written down at all."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from itertools import accumulate
from statistics import fmean
from typing import Self

MAX_CLIPS = 20_000
MAX_CHARACTERS = 1_000_000
"""Of all clips of a transcript: four hours of two people who talk without a pause have half as many."""
TOO_SHORT_MS = 500
"""A recording that is no longer than that is not written down."""
TOO_LONG_MS = 4 * 3600 * 1000
"""Nor one that is not shorter."""


class NotTranscribedError(Exception):
    """A recording cannot be written down here; it says why."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What a speaker said without a pause."""

    speaker: int
    """The channel of the recording, from 0 on."""
    text: str
    confidence: float
    """From 0 to 1."""
    start: float
    """In seconds of the recording."""
    end: float


@dataclass(frozen=True, slots=True)
class Speech:
    """All that a speaker said."""

    speaker: int
    text: str
    confidence: float
    """The mean of the clips'."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The clips of a recording."""

    clips: tuple[Clip, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the transcript that `str` has written."""
        return cls(tuple(Clip(*values) for values in json.loads(text)))

    def __str__(self) -> str:
        return json.dumps([astuple(clip) for clip in self.clips], separators=(",", ":"))

    def kept(self) -> Self:
        """Return what is stored of it, in the order in which it was said: at most `MAX_CLIPS` clips of `MAX_CHARACTERS`."""
        clips = sorted(self.clips, key=lambda clip: (clip.start, clip.speaker))[:MAX_CLIPS]
        lengths = accumulate(len(clip.text) for clip in clips)
        return type(self)(tuple(clip for clip, length in zip(clips, lengths, strict=True) if length <= MAX_CHARACTERS))

    def speeches(self) -> list[Speech]:
        """Return what each speaker said in all."""
        by_speaker: dict[int, list[Clip]] = {}
        for clip in self.clips:
            by_speaker.setdefault(clip.speaker, []).append(clip)
        return [
            Speech(speaker, " ".join(clip.text for clip in clips), fmean(clip.confidence for clip in clips))
            for speaker, clips in sorted(by_speaker.items())
        ]
