"""Speech and sound files: real programs, real files."""

from __future__ import annotations

import asyncio
import math
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.aio.sounds.convert import RATE
from callflow.aio.sounds.espeak import PROGRAM, Espeak
from callflow.aio.sounds.fetcher import decoded_sound
from callflow.aio.sounds.speech import MAX_SPEAKERS, Speaker
from callflow.aio.sounds.speech_error import SpeechUnavailable
from callflow.aio.sounds.spool import Spool
from callflow.audio.sound_error import SoundError
from callflow.bxml.voices import LOCALES, Voice
from mediarelay.rtp.g711 import pcm16_to_alaw, pcm16_to_ulaw, ulaw_to_pcm16
from tests.unit.audio.sound_files import g711_file, pcm_file, tone

VOICE = Voice("en_US", "female")


def decoded(file: bytes) -> bytes:
    """Return what a file becomes that is short enough for the memory."""
    spool = Spool("nowhere")
    sound = spool.new()
    sound.append(file)
    return decoded_sound(sound, spool)[:]


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
    ulaw = decoded(pcm_file(rate, channels))
    assert len(ulaw) == pytest.approx(RATE / 2, abs=1)
    assert power(ulaw) > 0.99


def test_g711_at_8_khz_is_not_resampled() -> None:
    ulaw = pcm16_to_ulaw(tone(8000))
    assert decoded(g711_file(7, ulaw)) == ulaw
    assert decoded(g711_file(7, ulaw, size=0x7FFFF000)) == ulaw
    assert power(decoded(g711_file(6, pcm16_to_alaw(tone(8000))))) > 0.99
    assert power(decoded(g711_file(7, b"".join(bytes([b, b]) for b in ulaw), channels=2))) > 0.99


@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF])
def test_a_file_that_was_written_to_a_pipe_is_played_to_its_end(riff: int) -> None:
    whole = pcm_file(8000)
    piped = whole[:4] + riff.to_bytes(4, "little") + whole[8:40] + bytes(4) + whole[44:]
    assert decoded(piped) == decoded(whole)


@pytest.mark.parametrize("data", [b"", b"OggS" * 20, b"ID3\x04" + b"\x00" * 20, b"\xff\xfb\x90\x00" + b"\x00" * 20])
def test_what_is_neither_cannot_be_played(data: bytes) -> None:
    with pytest.raises(SoundError, match=r"^It is neither a wav nor an mp3 file\.$"):
        decoded(data)


def test_why_a_file_cannot_be_played_is_told() -> None:
    with pytest.raises(SoundError, match="^It holds mp3; only 16-bit PCM, µ-law and A-law can be played"):
        decoded(g711_file(0x55, b""))


@given(st.binary(max_size=120), st.integers(0, 60))
def test_any_bytes_decode_or_raise_wav_error(data: bytes, position: int) -> None:
    good = g711_file(7, b"\xff" * 20)
    for candidate in (data, good[:position] + data, good[:position] + data + good[position:]):
        try:
            decoded(candidate)
        except SoundError as error:
            assert str(error).endswith(".")


async def say(markup: str, cache: Path, voice: Voice = VOICE, program: str = PROGRAM) -> bytes:
    sound = await Speaker(str(cache), Espeak(Spool(str(cache.parent)), program)).say(markup, voice, account_id="1")
    return sound[:]


async def test_speech_is_reproducible_and_cached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sentence = 'Hello <break time="300ms"/> there &amp; you'
    spoken = await say(sentence, tmp_path / "a")
    assert len(spoken) > RATE
    assert await say(sentence, tmp_path / "b") == spoken
    assert not caplog.records
    (file,) = (tmp_path / "a").iterdir()
    assert file.read_bytes() == spoken
    file.write_bytes(b"from the cache")
    assert await say(sentence, tmp_path / "a") == b"from the cache"
    assert await say("Hello", tmp_path / "a", Voice("en_US", "male")) != spoken


async def test_all_who_want_a_sentence_at_once_get_one(tmp_path: Path) -> None:
    program = tmp_path / "speaker"
    wav = tmp_path / "wav"
    wav.write_bytes(g711_file(7, b"\xff" * 80))
    program.write_text(f"#!/bin/sh\necho >>{tmp_path}/started\ncat >/dev/null\nexec cat {wav}\n")
    program.chmod(0o700)
    speaker = Speaker(str(tmp_path / "cache"), Espeak(Spool(str(tmp_path)), str(program)))
    given_up = asyncio.create_task(speaker.say("Hello", VOICE, account_id="1"))
    await asyncio.sleep(0)
    given_up.cancel()
    sounds = await asyncio.gather(*(speaker.say("Hello", VOICE, account_id=str(number)) for number in range(10)))
    assert {id(sound) for sound in sounds} == {id(sounds[0])}
    assert len((tmp_path / "started").read_text()) == 1
    await speaker.close()


async def test_every_locale_can_be_spoken(tmp_path: Path) -> None:
    for locale in LOCALES:
        assert len(await say("1 2 3", tmp_path, Voice(locale, "male"))) > 2000


async def test_an_account_with_many_sentences_keeps_no_other_one_waiting(tmp_path: Path) -> None:
    started, wav, program = tmp_path / "started", tmp_path / "wav", tmp_path / "speaker"
    os.mkfifo(tmp_path / "never")
    wav.write_bytes(g711_file(7, b"\xff" * 80))
    program.write_text(f"#!/bin/sh\ncd {tmp_path}\ngrep -q hangs && echo >>started && exec cat never\nexec cat wav\n")
    program.chmod(0o700)
    started.touch()
    speaker = Speaker(str(tmp_path / "cache"), Espeak(Spool(str(tmp_path)), str(program)))
    crowd = [asyncio.create_task(speaker.say(f"hangs {number}", VOICE, account_id="1")) for number in range(20)]
    async with asyncio.timeout(10):
        while len(started.read_text()) < MAX_SPEAKERS - 1:
            await asyncio.sleep(0)
        assert (await speaker.say("Hello", VOICE, account_id="2"))[:] == b"\xff" * 80
    for task in crowd:
        task.cancel()
    await asyncio.wait(crowd)


async def test_a_missing_program_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SpeechUnavailable) as caught:
        await say("Hello", tmp_path, program="no-such-speaker")
    assert str(caught.value) == "no-such-speaker cannot be started; install the package espeak-ng."


async def test_a_program_that_writes_no_audio_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SpeechUnavailable) as caught:
        await say("Hello", tmp_path, program="true")
    assert str(caught.value) == "true wrote no audio. It is not a wav file."


@pytest.mark.parametrize("_attempt", range(5))
async def test_endless_speech_is_cut_off(tmp_path: Path, _attempt: int) -> None:
    """Several times: whether the pipe is full when the program is ended is chance."""
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec cat /dev/zero\n")
    endless.chmod(0o700)
    with pytest.raises(SpeechUnavailable) as caught:
        await say("Hello", tmp_path / "cache", program=str(endless))
    assert str(caught.value) == "The sentence is longer than 600 s when spoken."


async def test_speech_works_without_a_writable_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert await say("Hello", tmp_path / "file")


def test_silence_in_a_stereo_file_stays_silence() -> None:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 16_000, 64_000, 4, 16)
    frames = bytes(12_800)
    assert set(decoded(b"RIFF\x00\x00\x00\x00WAVE" + form + struct.pack("<4sI", b"data", len(frames)) + frames)) == {0xFF}
