"""Telephone events (RFC 4733): a digit as a run of RTP packets with one timestamp."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Self

DIGITS = "0123456789*#ABCD"
"""Digits in the order of their event codes (RFC 4733 section 3.2)."""

_FRAME = 160
_MAX_DURATION = 0xFFFF
_PAYLOAD = Struct("!BBH")


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload of one event packet; `duration` counts timestamp units since the event began."""

    event: int
    end: bool
    volume: int
    duration: int

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the first event of a payload; raises ValueError with a sentence."""
        if len(raw) < _PAYLOAD.size:
            raise ValueError("The telephone event is truncated.")
        event, flags, duration = _PAYLOAD.unpack_from(raw)
        return cls(event, bool(flags & 0x80), flags & 0x3F, duration)

    def __bytes__(self) -> bytes:
        return _PAYLOAD.pack(self.event, self.volume | (0x80 if self.end else 0), self.duration)


@dataclass(frozen=True, slots=True)
class EventStep:
    """One packet of a digit: `frame` is its 20 ms slot counted from the event's start."""

    frame: int
    marker: bool
    event: TelephoneEvent


def code_of(digit: str) -> int:
    """Return the event code of a digit; raises ValueError for what no keypad has."""
    code = DIGITS.find(digit.upper()) if len(digit) == 1 else -1
    if code < 0:
        raise ValueError(f"{digit!r} is not a telephone digit.")
    return code


def digit_of(code: int) -> str | None:
    """Return the digit of an event code, or None if the event is not a digit."""
    return DIGITS[code] if code < len(DIGITS) else None


def schedule(digit: str, duration_ms: int, *, volume: int = 10) -> tuple[EventStep, ...]:
    """Return the packets that send one digit at 8 kHz, one every 20 ms.

    The first carries the marker; the final duration is sent three times with the end bit (RFC 4733 section 2.5.1.4).
    `duration_ms` is rounded up to whole frames and capped by the 16-bit duration field.
    """
    code = code_of(digit)
    frames = max(1, min(-(-duration_ms // 20), _MAX_DURATION // _FRAME))
    steps = [EventStep(k, k == 0, TelephoneEvent(code, False, volume, (k + 1) * _FRAME)) for k in range(frames)]
    last = TelephoneEvent(code, True, volume, frames * _FRAME)
    steps += [EventStep(frames + k, False, last) for k in range(3)]
    return tuple(steps)
