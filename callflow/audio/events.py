"""What an audio session tells its user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """Fired once for each telephone event that is a digit, on its first packet."""

    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """Fired when the last frame of a `play` has been sent, or the last digit of `send_digits` and its gap."""

    number: int
    """What the command returned."""


AudioEvent = DigitReceived | PlaybackFinished
