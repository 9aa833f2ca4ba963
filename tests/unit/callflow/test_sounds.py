"""Speech, sound files and recordings: real programs, real files."""

from __future__ import annotations

import asyncio
import io
import math
import os
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.aio.convert import to_ulaw
from callflow.aio.recorder import RATE, RecorderPool, RecordingFailed
from callflow.aio.sounds import decode_sound
from callflow.aio.speech import MAX_CACHED_PROMPTS, PromptCache, Speaker, SpeechUnavailable
from callflow.audio.wav import MAX_CHUNKS, Encoding, Wav, WavError
from callflow.bxml.voices import LOCALES, Voice
from mediarelay.rtp.g711 import pcm16_to_alaw, pcm16_to_ulaw, ulaw_to_pcm16

VOICE = Voice("en_US", "female")


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> bytes:
    samples = (int(8000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(int(rate * seconds)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


def pcm_file(rate: int, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = tone(rate)
        file.writeframes(b"".join(samples[n : n + 2] * channels for n in range(0, len(samples), 2)))
    return buffer.getvalue()


def g711_file(tag: int, frames: bytes, size: int | None = None, bits: int = 8, channels: int = 1) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, 8000, 8000, 1, bits)
    return b"RIFF\x00\x00\x00\x00WAVE" + form + struct.pack("<4sI", b"data", len(frames) if size is None else size) + frames


def power(ulaw: bytes, hertz: float = 440.0) -> float:
    """Return the share of a sound's energy that is in one tone."""
    samples = struct.unpack(f"={len(ulaw)}h", ulaw_to_pcm16(ulaw))
    angles = [2 * math.pi * hertz * n / RATE for n in range(len(samples))]
    real = sum(s * math.cos(a) for s, a in zip(samples, angles, strict=True))
    imaginary = sum(s * math.sin(a) for s, a in zip(samples, angles, strict=True))
    share: float = 2 * (real**2 + imaginary**2) / len(samples) / sum(s * s for s in samples)
    return share


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (8000, 2), (16000, 1), (22050, 1), (44100, 2), (48000, 2)])
def test_pcm_of_any_rate_becomes_the_same_tone(rate: int, channels: int) -> None:
    ulaw = decode_sound(pcm_file(rate, channels))
    assert len(ulaw) == pytest.approx(RATE / 2, abs=1)
    assert power(ulaw) > 0.99


def test_g711_at_8_khz_is_not_resampled() -> None:
    ulaw = pcm16_to_ulaw(tone(8000))
    assert decode_sound(g711_file(7, ulaw)) == ulaw
    assert decode_sound(g711_file(7, ulaw, size=0x7FFFF000)) == ulaw
    assert power(decode_sound(g711_file(6, pcm16_to_alaw(tone(8000))))) > 0.99
    assert power(decode_sound(g711_file(7, b"".join(bytes([b, b]) for b in ulaw), channels=2))) > 0.99


@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF])
def test_a_file_that_was_written_to_a_pipe_is_played_to_its_end(riff: int) -> None:
    whole = pcm_file(8000)
    piped = whole[:4] + riff.to_bytes(4, "little") + whole[8:40] + bytes(4) + whole[44:]
    assert decode_sound(piped) == decode_sound(whole)


def test_what_follows_audio_of_size_0_is_no_audio_if_the_file_says_so() -> None:
    head = pcm_file(8000)[:36]
    notes = b"LIST" + (400).to_bytes(4, "little") + bytes(400)
    size = (len(head) + len(notes)).to_bytes(4, "little")
    with pytest.raises(WavError, match="It holds no audio"):
        decode_sound(head[:4] + size + head[8:] + b"data" + bytes(4) + notes)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "It is not a wav file."),
        (b"OggS" * 20, "It is not a wav file."),
        (b"ID3\x04" + b"\x00" * 20, "It is an mp3 file; only wav can be played."),
        (b"\xff\xfb\x90\x00" + b"\x00" * 20, "It is an mp3 file; only wav can be played."),
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
    with pytest.raises(WavError) as caught:
        decode_sound(data)
    assert str(caught.value).startswith(sentence)


def test_the_extensible_format_is_read() -> None:
    form = struct.pack("<4sIHHIIHHHHIH", b"fmt ", 40, 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 0, 1) + b"\x00" * 14
    wav = Wav.parse(b"RIFF\x00\x00\x00\x00WAVE" + form + struct.pack("<4sI", b"data", 5) + b"\x01\x00\x02\x00\x03")
    assert (wav.encoding, wav.frames) == (Encoding.PCM16, b"\x01\x00\x02\x00")


@given(st.binary(max_size=120), st.integers(0, 60))
def test_any_bytes_decode_or_raise_wav_error(data: bytes, position: int) -> None:
    good = g711_file(7, b"\xff" * 20)
    for candidate in (data, good[:position] + data, good[:position] + data + good[position:]):
        try:
            decode_sound(candidate)
        except WavError as error:
            assert str(error).endswith(".")


async def test_speech_is_reproducible_and_cached(tmp_path: Path) -> None:
    spoken = await Speaker(str(tmp_path / "a")).say('Hello <break time="300ms"/> there &amp; you', VOICE)
    assert len(spoken) > RATE
    assert await Speaker(str(tmp_path / "b")).say('Hello <break time="300ms"/> there &amp; you', VOICE) == spoken
    (file,) = (tmp_path / "a").iterdir()
    file.write_bytes(b"from the cache")
    assert await Speaker(str(tmp_path / "a")).say('Hello <break time="300ms"/> there &amp; you', VOICE) == b"from the cache"
    assert await Speaker(str(tmp_path / "a")).say("Hello", Voice("en_US", "male")) != spoken


async def test_every_locale_can_be_spoken(tmp_path: Path) -> None:
    speaker = Speaker(str(tmp_path))
    for locale in LOCALES:
        assert len(await speaker.say("1 2 3", Voice(locale, "male"))) > 2000


async def test_a_missing_program_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SpeechUnavailable) as caught:
        await Speaker(str(tmp_path), program="no-such-speaker").say("Hello", VOICE)
    assert str(caught.value) == "no-such-speaker cannot be started; install the package espeak-ng."


async def test_a_program_that_writes_no_audio_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SpeechUnavailable) as caught:
        await Speaker(str(tmp_path), program="true").say("Hello", VOICE)
    assert str(caught.value) == "true wrote no audio. It is not a wav file."


@pytest.mark.parametrize("_attempt", range(5))
async def test_endless_speech_is_cut_off(tmp_path: Path, _attempt: int) -> None:
    """Several times: whether the pipe is full when the program is ended is chance."""
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec cat /dev/zero\n")
    endless.chmod(0o700)
    with pytest.raises(SpeechUnavailable) as caught:
        await Speaker(str(tmp_path / "cache"), program=str(endless)).say("Hello", VOICE)
    assert str(caught.value) == "The sentence is longer than 600 s when spoken."


async def test_speech_works_without_a_writable_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert await Speaker(str(tmp_path / "file")).say("Hello", VOICE)


def test_the_cache_evicts_the_least_recently_used(tmp_path: Path) -> None:
    for number in range(MAX_CACHED_PROMPTS):
        path = tmp_path / f"{number:05}.ulaw"
        path.touch()
        os.utime(path, (number, number))
    cache = PromptCache(tmp_path)
    assert cache.read("00000") == b""
    cache.write("new", b"x")
    kept = {path.stem for path in tmp_path.glob("*.ulaw")}
    assert len(kept) == MAX_CACHED_PROMPTS + 1 - (MAX_CACHED_PROMPTS + 1) // 4
    assert {"new", "00000"} < kept
    assert "00001" not in kept


async def test_a_recording_is_sample_exact(tmp_path: Path) -> None:
    pool = RecorderPool(str(tmp_path))
    recorder = pool.start("c-1", "r-1", 60.0)
    ulaw = pcm16_to_ulaw(tone(8000, 2.5))
    for position in range(0, len(ulaw), 160):
        recorder.write(ulaw[position : position + 160])
    finished = await recorder.finish()
    assert finished.duration_ms == 2500
    with wave.open(finished.path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.readframes(100_000) == ulaw_to_pcm16(ulaw)
    assert finished.path == str(tmp_path / "c-1" / "r-1.wav")
    await pool.close()


async def test_a_recording_ends_at_its_maximum_length(tmp_path: Path) -> None:
    pool = RecorderPool(str(tmp_path))
    recorder = pool.start("c-1", "r-1", 0.05)
    for _ in range(5):
        recorder.write(b"\x00" * 160)
    assert (await recorder.finish()).duration_ms == 50
    await pool.close()


async def test_an_empty_recording_is_a_file_too(tmp_path: Path) -> None:
    pool = RecorderPool(str(tmp_path))
    finished = await pool.start("c-1", "r-1", 60.0).finish()
    with wave.open(finished.path) as file:
        assert file.getnframes() == 0
    await pool.close()


async def test_a_recording_that_cannot_be_written_fails_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "c-1").write_text("in the way")
    pool = RecorderPool(str(tmp_path))
    recorder = pool.start("c-1", "r-1", 60.0)
    recorder.write(b"\x00" * 16_000)
    with pytest.raises(RecordingFailed) as caught:
        await recorder.finish()
    assert str(caught.value) == "The recording could not be written: File exists."
    await pool.close()


async def test_silence_in_a_stereo_file_stays_silence() -> None:
    wav = Wav(Encoding.PCM16, 2, 16_000, b"\x00\x00" * 3200)
    assert set(await asyncio.to_thread(to_ulaw, wav)) == {0xFF}
