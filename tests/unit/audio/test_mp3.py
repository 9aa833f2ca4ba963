"""mp3 files: where their audio begins, behind tags and rubbish; and the frame that says how much of ours is audio."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.audio.mp3 import MAX_SEARCHED, SAMPLES_OF_FRAME, Mp3, info_frame
from callflow.audio.octets import blocks
from callflow.audio.sound_error import SoundError
from tests.unit.audio.sound_files import mp3_file

FILE = mp3_file(16_000)
RATES = 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_first_frame_tells_rate_and_channels(rate: int, channels: int) -> None:
    found = Mp3.parse(mp3_file(rate, channels))
    assert (found.rate, found.channels, found.start) == (rate, channels, 0)


def test_a_tag_before_the_audio_is_skipped() -> None:
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 44]) + b"\xff\xfb\x90\x00" * 75
    assert Mp3.parse(tag + FILE).start == len(tag) == 310


def test_rubbish_before_the_audio_is_skipped_up_to_a_bound() -> None:
    rubbish = random.Random(4).randbytes(1_000).replace(b"\xff", b"\xfe") + b"\xff\xfb\x90\x00"
    assert Mp3.parse(rubbish + FILE).start == len(rubbish)
    with pytest.raises(SoundError):
        Mp3.parse(bytes(MAX_SEARCHED) + FILE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3\x04" + bytes(20),
        b"\xff\xfb\x90\x00" * 3,
        b"\xff" * 5_000,
        b"\xff\xf3\x40\xc4" + bytes(500),
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + FILE,
    ],
)
def test_what_only_looks_like_an_mp3(data: bytes) -> None:
    with pytest.raises(SoundError, match=r"^It is neither a wav nor an mp3 file\.$"):
        Mp3.parse(data)


@given(st.integers(0, 500), st.binary(max_size=300))
def test_damaged_files_have_a_beginning_within_them_or_none(position: int, data: bytes) -> None:
    for candidate in (FILE[:position] + data + FILE[position:], FILE[:position] + data, FILE[position:] + data):
        try:
            found = Mp3.parse(candidate)
        except SoundError:
            continue
        assert 0 <= found.start < len(candidate)


def test_the_frame_before_ours_is_like_them_and_counts_them() -> None:
    frame = info_frame(FILE, 28, 16_000)
    assert Mp3.parse(frame + FILE).start == 0
    at = frame.index(b"Info")
    assert int.from_bytes(frame[at + 8 : at + 12]) == 28
    cut = int.from_bytes(frame[at + 16 + 21 : at + 16 + 24])
    assert (cut >> 12, cut & 0xFFF) == (576, 0)
    longer = info_frame(FILE, 30, 16_000)
    assert int.from_bytes(longer[at + 37 : at + 40]) & 0xFFF == 30 * SAMPLES_OF_FRAME - 576 - 16_000
    with pytest.raises(SoundError, match="It does not begin with a frame"):
        info_frame(b"RIFF", 28, 16_000)


def test_octets_are_read_block_by_block() -> None:
    data = bytes(100_000)
    assert [len(block) for block in blocks(data)] == [65_536, 34_464]
    assert b"".join(blocks(data)) == data
    assert not list(blocks(b""))
