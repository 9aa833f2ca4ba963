"""Linear audio of higher rates becomes that of a call, piece by piece and without delay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.aio.streams.decimator import RATE, Decimator
from mediarelay.rtp.g711 import ulaw_to_pcm16


def tone(rate: int, hertz: float, seconds: float = 1.0) -> bytes:
    return (8_000 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype("<i2").tobytes()


def level(ulaw: bytes) -> float:
    """Return the amplitude of a sound in the middle of it."""
    samples = np.frombuffer(ulaw_to_pcm16(ulaw), np.int16).astype(float)[1_000:-1_000]
    return float(np.sqrt(2 * np.mean(samples**2)))


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("hertz", [300, 1_000, 3_000])
def test_what_a_telephone_hears_keeps_its_level(rate: int, hertz: float) -> None:
    assert level(Decimator(rate).ulaw(tone(rate, hertz))) == pytest.approx(8_000, rel=0.05)


@pytest.mark.parametrize("rate", [16_000, 24_000])
@pytest.mark.parametrize("hertz", [4_600, 6_000, 7_500])
def test_what_is_higher_is_not_heard_as_something_lower(rate: int, hertz: float) -> None:
    assert level(Decimator(rate).ulaw(tone(rate, hertz))) < 80


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_a_piece_is_heard_at_once(rate: int) -> None:
    decimator = Decimator(rate)
    assert len(decimator.ulaw(tone(rate, 440, 0.02))) == 160
    assert len(decimator.ulaw(tone(rate, 440, 0.02))) == 160


@given(st.sampled_from([8_000, 16_000, 24_000]), st.lists(st.integers(0, 700), max_size=12))
def test_pieces_of_any_size_are_one_sound(rate: int, sizes: list[int]) -> None:
    audio = np.random.default_rng(3).integers(-9_000, 9_000, sum(sizes)).astype("<i2").tobytes()
    pieces, at = [], 0
    for size in sizes:
        pieces.append(audio[2 * at : 2 * (at + size)])
        at += size
    decimator = Decimator(rate)
    whole = Decimator(rate).ulaw(audio)
    # Sums in another order may differ in the last bit, which may be the next step of µ-law.
    said = np.frombuffer(ulaw_to_pcm16(b"".join(map(decimator.ulaw, pieces))), np.int16).astype(int)
    assert np.abs(said - np.frombuffer(ulaw_to_pcm16(whole), np.int16)).max(initial=0) <= 1_024
    assert len(said) == sum(sizes) * RATE // rate
