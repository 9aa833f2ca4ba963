"""WAV files: which are read, where their audio stands, and what is said of the others."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.audio.sound_error import SoundError
from callflow.audio.wav import MAX_CHUNKS, Encoding, Wav
from tests.unit.audio.sound_files import g711_file, pcm_file


def test_what_follows_audio_of_size_0_is_no_audio_if_the_file_says_so() -> None:
    head = pcm_file(8000)[:36]
    notes = b"LIST" + (400).to_bytes(4, "little") + bytes(400)
    size = (len(head) + len(notes)).to_bytes(4, "little")
    with pytest.raises(SoundError, match="It holds no audio"):
        Wav.parse(head[:4] + size + head[8:] + b"data" + bytes(4) + notes)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"OggS" * 20, "It is not a wav file."),
        (b"RIFF\x00\x00\x00\x00WAVE", "It holds no audio."),
        (b"RIFF\x00\x00\x00\x00WAVE" + struct.pack("<4sI", b"data", 0), "Its audio comes before its format."),
        (b"RIFF\x00\x00\x00\x00WAVE" + struct.pack("<4sIH", b"fmt ", 2, 1), "Its format is cut short."),
        (b"RIFF\x00\x00\x00\x00WAVE" + struct.pack("<4sI", b"junk", 0) * (MAX_CHUNKS + 1), "It has too many chunks."),
        (g711_file(0x55, b""), "It holds mp3; only 16-bit PCM, µ-law and A-law can be played."),
        (g711_file(1, b""), "It has 8 bits a sample; PCM must have 16, µ-law and A-law 8."),
        (g711_file(7, b"", channels=6), "It has 6 channels; only mono and stereo can be played."),
        (g711_file(7, b"").replace(struct.pack("<II", 8000, 8000), struct.pack("<II", 10, 10)), "It has 10 samples"),
    ],
)
def test_files_that_cannot_be_played(data: bytes, sentence: str) -> None:
    with pytest.raises(SoundError) as caught:
        Wav.parse(data)
    assert str(caught.value).startswith(sentence)


def test_the_extensible_format_is_read() -> None:
    form = struct.pack("<4sIHHIIHHHHIH", b"fmt ", 40, 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 0, 1) + b"\x00" * 14
    file = b"RIFF\x00\x00\x00\x00WAVE" + form + struct.pack("<4sI", b"data", 5) + b"\x01\x00\x02\x00\x03"
    wav = Wav.parse(file)
    assert (wav.encoding, file[wav.start : wav.start + wav.size]) == (Encoding.PCM16, b"\x01\x00\x02\x00")


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (192_000, 1)])
def test_the_audio_is_found_in_whole_frames(rate: int, channels: int) -> None:
    file = pcm_file(rate, channels)
    wav = Wav.parse(file + b"\0")
    assert (wav.encoding, wav.channels, wav.rate, wav.start, wav.size) == (Encoding.PCM16, channels, rate, 44, len(file) - 44)
    assert wav.frame_octets == 2 * channels
    assert Wav.parse(file[:-1]).size == wav.size - wav.frame_octets


@given(st.binary(max_size=120), st.integers(0, 60))
def test_any_octets_are_a_file_or_a_sentence(data: bytes, position: int) -> None:
    good = g711_file(7, b"\xff" * 20)
    for candidate in (data, good[:position] + data, good[:position] + data + good[position:]):
        try:
            wav = Wav.parse(candidate)
        except SoundError as error:
            assert str(error).endswith(".")
        else:
            assert 0 < wav.start < wav.start + wav.size <= len(candidate)
