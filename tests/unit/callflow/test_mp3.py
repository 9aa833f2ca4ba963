"""What is heard of sound files in mp3: of every rate, with tags, and broken."""

from __future__ import annotations

import miniaudio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callflow.aio.sounds import convert
from callflow.aio.sounds.convert import RATE
from callflow.audio.sound_error import SoundError
from tests.unit.audio.sound_files import mp3_file
from tests.unit.audio.test_mp3 import RATES
from tests.unit.callflow.test_sounds import decoded, power

FILE = mp3_file(16_000)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_becomes_the_same_tone(rate: int, channels: int) -> None:
    file = mp3_file(rate, channels)
    ulaw = decoded(file)
    # The encoder's delay and the last frame are silence around the audio.
    whole = len(miniaudio.decode(file, nchannels=1, sample_rate=rate).samples) * RATE / rate
    assert RATE <= whole - 1 <= len(ulaw) <= RATE + 2_400
    assert power(ulaw[2_000:7_000]) > 0.98


def test_a_tag_before_the_audio_is_not_heard() -> None:
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 44]) + b"\xff\xfb\x90\x00" * 75
    assert power(decoded(tag + FILE)[2_000:7_000]) > 0.98


def test_a_file_that_breaks_off_is_played_as_far_as_it_goes() -> None:
    ulaw = decoded(FILE[: len(FILE) // 2])
    assert 0 < len(ulaw) < RATE
    assert power(ulaw[1_000:3_000]) > 0.98


@settings(max_examples=300)
@given(st.integers(0, len(FILE)), st.binary(max_size=300))
def test_damaged_files_are_played_or_refused(position: int, data: bytes) -> None:
    for candidate in (
        FILE[:position] + data + FILE[position:],
        FILE[:position] + data + FILE[position + len(data) :],
        FILE[position:] + data,
    ):
        try:
            decoded(candidate)
        except SoundError as error:
            assert str(error).endswith(".")


def test_a_file_that_becomes_too_much_audio_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "MAX_OCTETS", RATE // 2)
    with pytest.raises(SoundError, match="It is longer than an hour"):
        decoded(FILE)
