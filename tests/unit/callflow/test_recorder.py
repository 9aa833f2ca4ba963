"""Recordings in real files, and a disk that is too slow for them."""

from __future__ import annotations

import math
import random
import struct
import threading
import wave
from pathlib import Path

import miniaudio
import numpy as np
import pytest

from callflow.aio.recordings import recorder as module
from callflow.aio.recordings.audio_files import create
from callflow.aio.recordings.recorder import FLUSH_BYTES, MAX_PENDING_WRITES, Recorder, RecorderPool, RecordingFailed
from callflow.bxml.recording import FILE_FORMATS, FileFormat, Sides
from mediarelay.rtp.g711 import pcm16_to_ulaw, ulaw_to_pcm16
from tests.unit.audio.sound_files import tone

SECOND = bytes(FLUSH_BYTES)


def start(
    pool: RecorderPool, path: Path, seconds: float = 60.0, *, file_format: FileFormat = "wav", sides: Sides = Sides.CALLER
) -> Recorder:
    return pool.start(path, seconds, file_format, sides)


def samples_of(path: Path, channels: int = 1) -> list[list[int]]:
    """Return the samples of each channel of a recording."""
    found = miniaudio.decode(path.read_bytes(), miniaudio.SampleFormat.SIGNED16, channels, 8_000)
    return [list(found.samples[channel :: found.nchannels]) for channel in range(found.nchannels)]


def ulaw_tone(hertz: float, seconds: float) -> bytes:
    turn = 2 * math.pi * hertz / 8_000
    return pcm16_to_ulaw(b"".join(struct.pack("=h", round(6_000 * math.sin(turn * at))) for at in range(round(seconds * 8_000))))


async def test_a_recording_is_sample_exact(tmp_path: Path) -> None:
    pool = RecorderPool()
    path = tmp_path / "c-1" / "r-1.wav"
    recorder = start(pool, path)
    ulaw = bytes(random.Random(5).choices(range(256), k=20_000))
    for position in range(0, len(ulaw), 160):
        recorder.hear_caller(ulaw[position : position + 160])
    assert await recorder.finish() == 2500
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.readframes(100_000) == ulaw_to_pcm16(ulaw)
    await pool.close()


async def test_a_recording_ends_at_its_maximum_length(tmp_path: Path) -> None:
    pool = RecorderPool()
    recorder = start(pool, tmp_path / "r.wav", 0.05)
    for _ in range(5):
        recorder.hear_caller(b"\x00" * 160)
    assert await recorder.finish() == 50
    await pool.close()


async def test_an_empty_recording_is_a_file_too(tmp_path: Path) -> None:
    pool = RecorderPool()
    await start(pool, tmp_path / "r.wav").finish()
    with wave.open(str(tmp_path / "r.wav")) as file:
        assert file.getnframes() == 0
    await pool.close()


async def test_a_recording_that_cannot_be_written_fails_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "c-1").write_text("in the way")
    pool = RecorderPool()
    recorder = start(pool, tmp_path / "c-1" / "r.wav")
    recorder.hear_caller(b"\x00" * 16_000)
    with pytest.raises(RecordingFailed) as caught:
        await recorder.finish()
    assert str(caught.value) == "The recording could not be written: File exists."
    await pool.close()


class StuckDisk:
    """The disk of a pool, which takes nothing until it is told to."""

    def __init__(self, pool: RecorderPool) -> None:
        self._free = threading.Event()
        pool._thread.submit(self._free.wait)

    def go_on(self) -> None:
        self._free.set()


async def finish(recorder: Recorder) -> str:
    """Return the length of a recording, or why there is none."""
    try:
        return f"{await recorder.finish()} ms"
    except RecordingFailed as error:
        return str(error)


async def test_a_recording_waits_a_minute_for_a_slow_disk(tmp_path: Path) -> None:
    pool = RecorderPool()
    disk = StuckDisk(pool)
    recorders = [start(pool, tmp_path / f"r-{number}.wav", 1_000.0) for number in range(2)]
    for recorder, seconds in zip(recorders, (MAX_PENDING_WRITES - 1, MAX_PENDING_WRITES), strict=True):
        for _ in range(seconds):
            recorder.hear_caller(SECOND)
    disk.go_on()
    assert [await finish(recorder) for recorder in recorders] == ["59000 ms", "The disk is too slow for the recording."]
    await pool.close()


async def test_what_waits_of_all_recordings_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING_BYTES", 5 * FLUSH_BYTES)
    pool = RecorderPool()
    disk = StuckDisk(pool)
    recorders = [start(pool, tmp_path / f"r-{number}.wav", 1_000.0) for number in range(3)]
    for _ in range(2):
        for recorder in recorders:
            recorder.hear_caller(SECOND)
    disk.go_on()
    assert [await finish(recorder) for recorder in recorders] == ["2000 ms", "2000 ms", "The disk is too slow for the recording."]
    later = start(pool, tmp_path / "r-4.wav", 1_000.0)
    for _ in range(5):
        later.hear_caller(SECOND)
    assert await finish(later) == "5000 ms"
    await pool.close()


def play(recorder: Recorder, caller: bytes, answer: bytes) -> None:
    """Have a recorder hear both sides, the caller's 60 ms late, and less of the caller at the end."""
    frames = [(caller[at : at + 160], answer[at : at + 160]) for at in range(0, len(answer), 160)]
    late: list[bytes] = []
    for heard, said in frames:
        recorder.hear_answer(said)
        late.append(heard)
        if len(late) > 3:
            recorder.hear_caller(late.pop(0))


async def test_both_sides_stand_beside_each_other(tmp_path: Path) -> None:
    pool = RecorderPool()
    recorder = start(pool, tmp_path / "r.wav", sides=Sides.SEPARATE)
    caller, answer = ulaw_tone(440, 2.5), ulaw_tone(1_000, 2.5)
    play(recorder, caller, answer)
    assert await recorder.finish() == 2_500
    left, right = samples_of(tmp_path / "r.wav", 2)
    silent = 480
    assert struct.pack(f"={20_000 - silent}h", *left[:-silent]) == ulaw_to_pcm16(caller[:-silent])
    assert set(left[-silent:]) == {0}
    assert struct.pack("=20000h", *right) == ulaw_to_pcm16(answer)
    await pool.close()


async def test_mixed_sides_are_the_sum_of_both(tmp_path: Path) -> None:
    pool = RecorderPool()
    recorder = start(pool, tmp_path / "r.wav", sides=Sides.MIXED)
    recorder.hear_caller(pcm16_to_ulaw(struct.pack("=160h", *[20_000] * 160)))
    recorder.hear_answer(pcm16_to_ulaw(struct.pack("=160h", *[20_000] * 80, *[-4_000] * 80)))
    assert await recorder.finish() == 20
    (mixed,) = samples_of(tmp_path / "r.wav")
    assert set(mixed[:80]) == {32_767}
    assert mixed[100] == pytest.approx(16_000, abs=600)
    await pool.close()


async def test_what_is_said_in_a_pause_is_left_out_of_both_sides(tmp_path: Path) -> None:
    pool = RecorderPool()
    recorder = start(pool, tmp_path / "r.wav", sides=Sides.SEPARATE)
    for number, paused in enumerate((False, True, False), 1):
        recorder.paused = paused
        for _ in range(50):
            recorder.hear_caller(bytes([number]) * 160)
            recorder.hear_answer(bytes([number + 10]) * 160)
    assert await recorder.finish() == 2_000
    left, right = samples_of(tmp_path / "r.wav", 2)
    assert struct.pack("=16000h", *left) == ulaw_to_pcm16(b"\1" * 8_000 + b"\3" * 8_000)
    assert struct.pack("=16000h", *right) == ulaw_to_pcm16(b"\x0b" * 8_000 + b"\x0d" * 8_000)
    await pool.close()


@pytest.mark.parametrize("sides", [Sides.CALLER, Sides.SEPARATE])
async def test_an_mp3_is_as_long_as_what_was_said(tmp_path: Path, sides: Sides) -> None:
    pool = RecorderPool()
    recorder = start(pool, tmp_path / "r.mp3", file_format="mp3", sides=sides)
    caller, answer = ulaw_tone(440, 3), ulaw_tone(1_000, 3)
    for at in range(0, len(caller), 160):
        recorder.hear_caller(caller[at : at + 160])
        recorder.hear_answer(answer[at : at + 160])
    assert await recorder.finish() == 3_000
    channels = samples_of(tmp_path / "r.mp3", sides.channels)
    for channel, hertz in zip(channels, (440, 1_000), strict=False):
        assert len(channel) == pytest.approx(24_000, abs=160)
        power = np.abs(np.fft.rfft(channel[4_000:20_000]))
        assert power.argmax() * 8_000 / 16_000 == pytest.approx(hertz, abs=1)
    await pool.close()


async def test_an_empty_mp3_is_a_file_too(tmp_path: Path) -> None:
    pool = RecorderPool()
    assert await start(pool, tmp_path / "r.mp3", file_format="mp3").finish() == 0
    (samples,) = samples_of(tmp_path / "r.mp3")
    assert not any(samples)
    await pool.close()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_what_a_killed_process_leaves_can_be_played(tmp_path: Path, file_format: FileFormat, channels: int) -> None:
    path = tmp_path / f"r.{file_format}"
    file = create(path, file_format, channels)
    mono = tone(8_000, 1.0)
    second = b"".join(mono[at : at + 2] * channels for at in range(0, len(mono), 2))
    for _ in range(3):
        file.write(second)
    left = path.read_bytes()
    decoded = miniaudio.decode(left, nchannels=channels, sample_rate=8_000)
    assert 2.0 < len(decoded.samples) / channels / 8_000 <= 3.1
    file.close()
    whole = miniaudio.decode(path.read_bytes(), nchannels=channels, sample_rate=8_000)
    assert len(whole.samples) / channels / 8_000 == pytest.approx(3.0, abs=0.15)
