"""What an audio session tells its user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Fired for each 20 ms of received audio, in order and without gaps."""

    ulaw: bytes
    """160 octets of µ-law."""


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """Fired once for each telephone event that is a digit, when its first packet comes."""

    digit: str


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """Fired when the last digit and its gap are over."""


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """Fired when the last frame of a `play` has been sent."""

    number: int
    """What `play` returned."""


AudioEvent = AudioReceived | DigitReceived | DigitsSent | PlaybackFinished
