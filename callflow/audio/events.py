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
    """Fired once for each telephone event that is a digit, on its first packet."""

    digit: str


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """Fired after the last digit and its gap."""


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """Fired when the last frame of a `play` has been sent."""

    number: int
    """What `play` returned."""


AudioEvent = AudioReceived | DigitReceived | DigitsSent | PlaybackFinished
