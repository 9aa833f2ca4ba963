"""Sound files in mp3: of every rate, with tags, and broken."""

from __future__ import annotations

import random

import lameenc
import miniaudio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callflow.aio.sounds import convert
from callflow.aio.sounds.convert import RATE
from callflow.audio.mp3 import MAX_SEARCHED, Mp3
from callflow.audio.sound_error import SoundError
from tests.unit.callflow.test_sounds import decoded, power, tone

RATES = 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000


def encoded(rate: int, channels: int = 1, seconds: float = 1.0) -> bytes:
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    encoder.set_channels(channels)
    encoder.set_bit_rate(64)
    samples = tone(rate, seconds)
    frames = b"".join(samples[at : at + 2] * channels for at in range(0, len(samples), 2))
    return bytes(encoder.encode(frames)) + bytes(encoder.flush())


FILE = encoded(16_000)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_becomes_the_same_tone(rate: int, channels: int) -> None:
    file = encoded(rate, channels)
    found = Mp3.parse(file)
    assert (found.rate, found.channels, found.start) == (rate, channels, 0)
    ulaw = decoded(file)
    # The encoder's delay and the last frame are silence around the audio.
    whole = len(miniaudio.decode(file, nchannels=1, sample_rate=rate).samples) * RATE / rate
    assert RATE <= whole - 1 <= len(ulaw) <= RATE + 2_400
    assert power(ulaw[2_000:7_000]) > 0.98


def test_a_tag_before_the_audio_is_skipped() -> None:
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 44]) + b"\xff\xfb\x90\x00" * 75
    assert Mp3.parse(tag + FILE).start == len(tag) == 310
    assert power(decoded(tag + FILE)[2_000:7_000]) > 0.98


def test_rubbish_before_the_audio_is_skipped_up_to_a_bound() -> None:
    rubbish = random.Random(4).randbytes(1_000).replace(b"\xff", b"\xfe") + b"\xff\xfb\x90\x00"
    assert Mp3.parse(rubbish + FILE).start == len(rubbish)
    with pytest.raises(SoundError):
        Mp3.parse(bytes(MAX_SEARCHED) + FILE)


def test_a_file_that_breaks_off_is_played_as_far_as_it_goes() -> None:
    ulaw = decoded(FILE[: len(FILE) // 2])
    assert 0 < len(ulaw) < RATE
    assert power(ulaw[1_000:3_000]) > 0.98


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfb\x90\x00" * 3, b"\xff" * 5_000, b"\xff\xf3\x40\xc4" + bytes(500), b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + FILE],
)
def test_what_only_looks_like_an_mp3(data: bytes) -> None:
    with pytest.raises(SoundError, match="neither a wav nor an mp3"):
        decoded(data)


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
