from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.rtp.packet import RtpPacket
from mediarelay.rtp.telephone_event import DIGITS, TelephoneEvent, code_of, digit_of, schedule

DATA = Path(__file__).parents[2] / "data" / "rtp"


def test_end_packet_from_the_wire() -> None:
    packet = RtpPacket.parse((DATA / "digit_5_end.rtp").read_bytes())
    event = TelephoneEvent.parse(packet.payload)
    assert event == TelephoneEvent(event=5, end=True, volume=10, duration=800)
    assert bytes(event) == packet.payload


def test_broken_twin_is_refused() -> None:
    packet = RtpPacket.parse((DATA / "digit_5_end_broken.rtp").read_bytes())
    with pytest.raises(ValueError, match="The telephone event is truncated."):
        TelephoneEvent.parse(packet.payload)


@given(st.integers(0, 255), st.booleans(), st.integers(0, 63), st.integers(0, 0xFFFF))
def test_round_trip(event: int, end: bool, volume: int, duration: int) -> None:
    value = TelephoneEvent(event, end, volume, duration)
    assert TelephoneEvent.parse(bytes(value)) == value


def test_digits_and_codes() -> None:
    assert [digit_of(code) for code in range(16)] == list(DIGITS)
    assert [code_of(digit) for digit in DIGITS] == list(range(16))
    assert code_of("d") == 15
    assert digit_of(16) is None


@pytest.mark.parametrize("digit", ["", "12", "E", " "])
def test_other_characters_are_not_digits(digit: str) -> None:
    with pytest.raises(ValueError, match="is not a telephone digit"):
        code_of(digit)


def test_schedule_of_a_digit() -> None:
    steps = schedule("#", 100)
    assert [step.frame for step in steps] == list(range(8))
    assert [step.marker for step in steps] == [True] + [False] * 7
    assert [step.event.duration for step in steps] == [160, 320, 480, 640, 800, 800, 800, 800]
    assert [step.event.end for step in steps] == [False] * 5 + [True] * 3
    assert {step.event.event for step in steps} == {11}


@pytest.mark.parametrize(("asked", "frames"), [(0, 1), (1, 1), (21, 2), (10_000_000, 409)])
def test_duration_is_whole_frames_within_16_bits(asked: int, frames: int) -> None:
    assert len(schedule("1", asked)) == frames + 3
