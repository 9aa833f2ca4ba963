"""Digits as telephone events (RFC 4733): report each received digit once, and plan the packets of those to be sent."""

from __future__ import annotations

from mediarelay.rtp.telephone_event import EventStep, TelephoneEvent, digit_of, schedule

PAUSE = ","
"""Waits for half a second in a string of digits."""
PAUSE_FRAMES = 25
END_PACKETS = 3


class DigitDetector:
    """Turns event packets, in sequence order, into digits.

    All packets of an event have the same timestamp: the first one reports the digit and the others are ignored, whether
    or not the end arrives. An event that is longer than the duration field can tell continues under a new timestamp, at
    which the last segment ended (RFC 4733 section 2.5.1.3); it is the same key press.
    """

    def __init__(self) -> None:
        self._timestamp: int | None = None
        self._last: TelephoneEvent | None = None

    def receive(self, timestamp: int, event: TelephoneEvent) -> str | None:
        """Return the digit that this packet begins, or None."""
        begun = timestamp != self._timestamp and not self._continues(timestamp, event)
        self._timestamp, self._last = timestamp, event
        return digit_of(event.event) if begun else None

    def _continues(self, timestamp: int, event: TelephoneEvent) -> bool:
        last = self._last
        if last is None or self._timestamp is None or last.end or last.event != event.event:
            return False
        return timestamp == (self._timestamp + last.duration) & 0xFFFF_FFFF


def plan_digits(digits: str, duration_ms: int, gap_ms: int) -> list[EventStep | None]:
    """Return what each 20 ms slot carries: a packet, or None if nothing is sent; raises ValueError.

    The repeated end packets fill the first slots of the gap.
    """
    slots: list[EventStep | None] = []
    for digit in digits:
        if digit == PAUSE:
            slots += [None] * PAUSE_FRAMES
            continue
        slots += schedule(digit, duration_ms)
        slots += [None] * max(0, -(-gap_ms // 20) - END_PACKETS)
    return slots
