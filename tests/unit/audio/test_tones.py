"""Sounds that are made while they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.audio.tones import RATE, DigitTones, Ringback, digit_frequencies
from mediarelay.rtp.g711 import ulaw_to_pcm16


def strongest(ulaw: bytes) -> list[int]:
    """Return the two strongest frequencies of a sound in hertz."""
    samples = np.frombuffer(ulaw_to_pcm16(ulaw), np.int16).astype(float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * RATE))
    found: list[int] = []
    while len(found) < 2:
        found.append(round(int(power.argmax()) / 8))
        power[max(0, int(power.argmax()) - 240) : int(power.argmax()) + 240] = 0
    return sorted(found)


@pytest.mark.parametrize("digit", "0123456789*#ABCDabcd")
def test_each_digit_has_its_two_frequencies(digit: str) -> None:
    low, high = digit_frequencies(digit)
    found = strongest(DigitTones(digit, 200, 0)[0:1600])
    assert found == pytest.approx([low, high], abs=2)


def test_ringing_is_two_seconds_of_six() -> None:
    ring = Ringback(14.0)
    sound = ring[0 : len(ring)]
    assert len(sound) == len(ring) == 14 * RATE
    assert strongest(sound[: 2 * RATE]) == [440, 480]
    assert set(sound[2 * RATE : 6 * RATE]) == {0xFF}
    assert sound[:RATE] == sound[6 * RATE : 7 * RATE] == sound[12 * RATE : 13 * RATE]


@given(seconds=st.floats(0.1, 20), start=st.integers(0, 170_000), size=st.integers(0, 100_000))
def test_any_part_of_ringing_is_that_part_of_the_whole(seconds: float, start: int, size: int) -> None:
    ring = Ringback(seconds)
    assert ring[start : start + size] == ring[0 : len(ring)][start : start + size]


@given(digits=st.text("0159*#ABCD,wW", max_size=6), tone=st.integers(50, 300), gap=st.integers(50, 300), start=st.integers(0, 30_000))
def test_any_part_of_digits_is_that_part_of_the_whole(digits: str, tone: int, gap: int, start: int) -> None:
    tones = DigitTones(digits, tone, gap)
    whole = tones[0 : len(tones)]
    assert len(whole) == len(tones)
    assert tones[start : start + 160] == whole[start : start + 160]
