"""Digits as telephone events (RFC 4733): report each key press once, and plan the packets of those to be sent.

A press is a run of packets with one event code, one timestamp and a growing duration; the first carries the marker, the last
one the end bit, and is sent three times. Each of these signs is wrong in somebody's packets, so no sign decides alone:

    another code                                        a press
    the same timestamp, after the end                   a press if it is no end and has a marker or a smaller duration
    the same timestamp, before the end                  a press if the duration shrinks (the end was lost, or is never sent),
                                                        or by a marker after 0.25 s
    another timestamp, after the end                    a press, unless it repeats the end under a clock that runs
    another timestamp, before the end, within 0.25 s    the same press if the duration grows (a clock that runs), or if the
                                                        last segment ended at this timestamp (RFC 4733 section 2.5.1.3)
    another timestamp, before the end, later            a press
    any timestamp, before the end, within 0.25 s        the same press without a marker, if the duration had nearly filled its field:
                                                        it starts anew, or a new segment begins whose first packets may be lost

A sender whose clock stands may send a press as nothing but an end packet with a marker; `REPEAT_SECONDS` tells it from a
sender that puts the marker on every packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mediarelay.rtp.telephone_event import EventStep, TelephoneEvent, digit_of, schedule

PAUSE_MS = {",": 500, "w": 500, "W": 1_000}
"""What waits in a string of digits, and for how long."""
FRAME_MS = 20
END_PACKETS = 3
REPEAT_SECONDS = 0.1
"""Within this time the end of a press is repeated."""
RUN_SECONDS = 0.25
"""Within this time one press goes on under another timestamp."""
NEARLY_FULL = 0xF000
"""A duration behind which the field, of 16 bits, overflows soon: half a second at 8 kHz."""


@dataclass(frozen=True, slots=True)
class _EventPacket:
    """One packet of an event, and when it came."""

    timestamp: int
    marker: bool
    event: TelephoneEvent
    at: float


class DigitDetector:
    """Turns event packets, in sequence order, into key presses; see the module's theory of operation."""

    def __init__(self) -> None:
        self._last: _EventPacket | None = None
        self._ended: tuple[int, int] | None = None
        """Code and timestamp of the press before this one; its end may be repeated late."""

    def receive(self, timestamp: int, event: TelephoneEvent, now: float, *, marker: bool = False) -> str | None:
        """Return the digit whose press this packet begins, or None."""
        packet, last = _EventPacket(timestamp, marker, event, now), self._last
        if last is not None and event.event != last.event.event:
            if event.end and not marker and (event.event, timestamp) == self._ended:
                return None
            self._ended = last.event.event, last.timestamp
        begun = last is None or event.event != last.event.event or _begins(packet, last)
        self._last = packet
        return digit_of(event.event) if begun else None


def _begins(packet: _EventPacket, last: _EventPacket) -> bool:
    """Return whether a packet begins another press of the same key."""
    event, passed = packet.event, packet.at - last.at
    shrinks = event.duration < last.event.duration
    if last.event.duration >= NEARLY_FULL and not last.event.end and not packet.marker and passed <= RUN_SECONDS:
        return False
    if packet.timestamp == last.timestamp:
        if not last.event.end:
            return not event.end and (shrinks or (packet.marker and passed > RUN_SECONDS))
        return (packet.marker or shrinks) and (not event.end or (packet.marker and passed > REPEAT_SECONDS))
    if last.event.end:
        return not (event.end and event.duration == last.event.duration and passed <= REPEAT_SECONDS)
    if packet.timestamp == (last.timestamp + last.event.duration) & 0xFFFF_FFFF and not packet.marker:
        return False
    return shrinks or passed > RUN_SECONDS or (packet.marker and event.duration == last.event.duration)


def plan_digits(digits: str, duration_ms: int, gap_ms: int) -> list[EventStep | None]:
    """Return what each 20 ms slot carries: a packet, or None if nothing is sent; raises ValueError.

    The repeated end packets fill the first slots of the gap, in whose place a pause may stand.
    """
    slots: list[EventStep | None] = []
    for digit, silence_ms in with_silences(digits, gap_ms):
        silent = -(-silence_ms // FRAME_MS)
        slots += [*schedule(digit, duration_ms), *[None] * (silent - END_PACKETS)] if digit else [None] * silent
    return slots


def with_silences(digits: str, gap_ms: int) -> Iterator[tuple[str, int]]:
    """Yield each digit, "" for a pause, with the milliseconds of silence behind it; a pause stands in the place of the gap before it."""
    for digit, following in zip(digits, digits[1:] + " ", strict=False):
        if digit in PAUSE_MS:
            yield "", PAUSE_MS[digit]
        else:
            yield digit, 0 if following in PAUSE_MS else gap_ms


def cut_short(slots: Iterable[EventStep | None]) -> list[EventStep | None]:
    """Return what is left to be sent of planned slots if no more digits shall be: the end of the press that goes on."""
    step = next(iter(slots), None)
    if step is None or step.frame == 0:
        return []
    event = step.event if step.event.end else replace(step.event, end=True)
    return [EventStep(step.frame + number, False, event) for number in range(END_PACKETS)]
