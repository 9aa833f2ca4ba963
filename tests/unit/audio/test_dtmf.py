"""One press is one digit, however the sender's clock, marker and end bit behave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.audio.dtmf import DigitDetector
from mediarelay.rtp.telephone_event import TelephoneEvent, code_of


@dataclass
class Sloppy:
    """How a sender spoils its events."""

    clock: str = "right"
    """`right`, `stands` (for the whole call) or `runs` (with each packet)."""
    ends: int = 3
    """End packets of each press."""
    markers: str = "first"
    """`first`, `none` or `all`."""
    updates: int = 8
    """Packets before the end."""


class Line:
    """A sender and a detector."""

    def __init__(self, sloppy: Sloppy) -> None:
        self.detector = DigitDetector()
        self.now, self.clock, self.sloppy = 10.0, 2**32 - 3_000, sloppy
        self.digits = ""

    def press(self, key: str) -> None:
        begun = self.clock
        for number, (event, marker) in enumerate(self._packets(key)):
            clock = begun + 160 * number if self.sloppy.clock == "runs" else begun
            digit = self.detector.receive(clock & 0xFFFFFFFF, event, self.now, marker=marker)
            self.digits += digit or ""
            self.now += 0.005 if event.end else 0.02
        if self.sloppy.clock != "stands":
            self.clock += 160 * (self.sloppy.updates + 6)
        self.now += 0.12

    def _packets(self, key: str) -> Iterator[tuple[TelephoneEvent, bool]]:
        code = code_of(key)
        for number in range(self.sloppy.updates):
            yield TelephoneEvent(code, False, 10, 160 * (number + 1)), self._marker(number)
        for number in range(self.sloppy.ends):
            yield TelephoneEvent(code, True, 10, 160 * (self.sloppy.updates + 1)), self._marker(self.sloppy.updates + number)

    def _marker(self, number: int) -> bool:
        return self.sloppy.markers == "all" or (self.sloppy.markers == "first" and number == 0)


KEYS = "1", "11", "147", "1121", "*00#", "55555"


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("markers", ["first", "none", "all"])
@pytest.mark.parametrize("ends", [0, 1, 3, 5])
@pytest.mark.parametrize("clock", ["right", "stands", "runs"])
def test_each_press_is_one_digit(clock: str, ends: int, markers: str, keys: str) -> None:
    line = Line(Sloppy(clock, ends, markers))
    for key in keys:
        line.press(key)
    assert line.digits == keys


@pytest.mark.parametrize("clock", ["right", "stands"])
def test_a_press_may_be_one_end_packet(clock: str) -> None:
    line = Line(Sloppy(clock, ends=1, updates=0))
    for key in "1121":
        line.press(key)
    assert line.digits == "1121"


@given(st.text("0123456789*#ABCD", max_size=6), st.integers(0, 2**10))
def test_lost_packets_of_a_proper_sender_change_nothing(keys: str, fate: int) -> None:
    """One packet of each press arrives at least."""
    detector, digits, now, clock = DigitDetector(), "", 5.0, 0
    for key in keys:
        packets = [TelephoneEvent(code_of(key), number > 5, 10, 160 * min(number + 1, 7)) for number in range(9)]
        kept = [number for number in range(9) if fate >> number & 1] or [8]
        for number in range(9):
            now += 0.02
            if number in kept:
                digits += detector.receive(clock, packets[number], now, marker=number == 0) or ""
        clock += 2_000
        now += 0.1
    assert digits == keys


def test_a_key_that_is_held_beyond_the_duration_field_is_one_digit() -> None:
    detector = DigitDetector()
    assert detector.receive(0, TelephoneEvent(7, False, 10, 65_535), 8.2, marker=True) == "7"
    assert detector.receive(65_535, TelephoneEvent(7, False, 10, 160), 8.22) is None
    assert detector.receive(65_535, TelephoneEvent(7, True, 10, 320), 8.24) is None


@pytest.mark.parametrize("kind", ["segments", "overflow", "full", "early segments"])
@pytest.mark.parametrize("lost", [None, 409, 410])
def test_a_key_that_is_held_for_long_is_one_digit_and_the_next_press_another(kind: str, lost: int | None) -> None:
    detector, digits, now, clock, duration = DigitDetector(), "", 5.0, 0, 0
    top = 0xFFF0 if kind == "early segments" else 0xFFFF
    for number in range(600):
        duration += 160
        if kind.endswith("segments") and duration > top:
            clock, duration = clock + top, duration - top
        duration = min(duration, 0xFFFF) if kind == "full" else duration & 0xFFFF
        now += 0.02
        if number != lost:
            digits += detector.receive(clock, TelephoneEvent(5, number > 597, 10, duration), now, marker=number == 0) or ""
    digits += detector.receive(clock + 100_000, TelephoneEvent(5, False, 10, 160), now + 0.1, marker=True) or ""
    assert digits == "55"


def test_a_long_press_whose_end_is_lost_does_not_swallow_the_next_one() -> None:
    detector = DigitDetector()
    assert detector.receive(0, TelephoneEvent(5, False, 10, 0xFFF0), 9.0, marker=True) == "5"
    assert detector.receive(70_000, TelephoneEvent(5, False, 10, 160), 9.1, marker=True) == "5"
    assert detector.receive(70_000, TelephoneEvent(5, False, 10, 0xFFF0), 17.2) is None
    assert detector.receive(140_000, TelephoneEvent(5, False, 10, 160), 17.6) == "5"


def test_the_end_of_a_press_may_be_repeated_after_the_next_one_began() -> None:
    detector = DigitDetector()
    assert detector.receive(0, TelephoneEvent(1, False, 10, 160), 1.0, marker=True) == "1"
    assert detector.receive(2_000, TelephoneEvent(2, False, 10, 160), 1.2, marker=True) == "2"
    assert detector.receive(0, TelephoneEvent(1, True, 10, 320), 1.21) is None
    assert detector.receive(2_000, TelephoneEvent(2, True, 10, 320), 1.22) is None
