from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from mediarelay.rtp.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    alaw_to_pcm16,
    alaw_to_ulaw,
    pcm16_to_alaw,
    pcm16_to_ulaw,
    ulaw_to_alaw,
    ulaw_to_pcm16,
)


def _samples(pcm: bytes) -> array[int]:
    return array("h", pcm)


def test_silence_decodes_to_zero() -> None:
    assert _samples(ulaw_to_pcm16(bytes((ULAW_SILENCE,)))) == array("h", [0])
    assert abs(_samples(alaw_to_pcm16(bytes((ALAW_SILENCE,))))[0]) <= 8


def test_known_values() -> None:
    # The decoder output values at the ends of the ranges (ITU-T G.711 tables 1 and 2, scaled to 16 bits).
    assert _samples(ulaw_to_pcm16(b"\x80\x00")).tolist() == [32124, -32124]
    assert _samples(alaw_to_pcm16(b"\xaa\x2a")).tolist() == [32256, -32256]


@given(st.binary(max_size=320))
def test_linear_and_back(data: bytes) -> None:
    # 0x7F is the second zero of µ-law; it comes back as the first.
    assert pcm16_to_ulaw(ulaw_to_pcm16(data)) == data.replace(b"\x7f", b"\xff")
    assert pcm16_to_alaw(alaw_to_pcm16(data)) == data


def test_translation_stays_close() -> None:
    every = bytes(range(256))
    for data, decode, other in (
        (every, ulaw_to_pcm16, alaw_to_pcm16(ulaw_to_alaw(every))),
        (every, alaw_to_pcm16, ulaw_to_pcm16(alaw_to_ulaw(every))),
    ):
        for before, after in zip(_samples(decode(data)), _samples(other), strict=True):
            assert abs(before - after) <= max(16, abs(before) // 16)
