"""What is said in recordings: each channel by itself, by the real recogniser and by those that fail."""

from __future__ import annotations

import asyncio
import audioop
import sys
from pathlib import Path

import pytest

from callflow.aio.recognition import file as module
from callflow.aio.recognition.file import channels_of, parts_of, recognise_file
from callflow.aio.recognition.recogniser import NoRecogniser, Recogniser, RecognitionFailed
from callflow.aio.recordings.audio_files import create
from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.spool import Spool
from callflow.audio.sound_error import SoundError
from callflow.bxml.recording import FileFormat
from callflow.bxml.voices import Voice
from mediarelay.rtp.g711 import ulaw_to_pcm16
from tests.unit.audio.sound_files import pcm_file

RATE = 8_000


async def spoken(folder: Path, text: str) -> bytes:
    """Return a sentence in samples of 16 bits."""
    sound = await Espeak(Spool(str(folder))).speak(text, Voice("en_US", "male"))
    return ulaw_to_pcm16(sound[:])


def record(path: Path, file_format: FileFormat, channels: list[bytes]) -> Path:
    """Write a recording as a call does."""
    size = max(len(channel) for channel in channels)
    first, *others = [channel.ljust(size, b"\0") for channel in channels]
    samples = first
    for other in others:
        samples = audioop.add(audioop.tostereo(first, 2, 1, 0), audioop.tostereo(other, 2, 0, 1), 2)
    file = create(path, file_format, len(channels))
    file.write(samples)
    file.close()
    return path


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
async def test_each_channel_is_a_speaker(tmp_path: Path, file_format: FileFormat) -> None:
    question, answer = await spoken(tmp_path, "no"), await spoken(tmp_path, "yes")
    pause = bytes(2 * RATE * 2)
    path = record(tmp_path / "talk", file_format, [pause + answer + pause, question + pause])
    transcript = await recognise_file(path, ("yes", "no"))
    assert [(clip.speaker, clip.text) for clip in transcript.clips] == [(1, "no"), (0, "yes")]
    first, second = transcript.clips
    assert 0 <= first.start < first.end < 1.8 < second.start < second.end < 5
    assert all(0 < clip.confidence <= 1 for clip in transcript.clips)


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
def test_a_file_is_read_part_by_part(tmp_path: Path, file_format: FileFormat) -> None:
    path = record(tmp_path / "tone", file_format, [b"\x00\x10" * RATE * 3, bytes(2 * RATE * 3)])
    assert channels_of(path) == 2
    parts = list(parts_of(path, 1))
    assert {len(part) for part in parts[:-1]} == {RATE}
    assert len(b"".join(parts)) == pytest.approx(3 * RATE, abs=0.3 * RATE)
    assert set(b"".join(parts[1:-1])) <= {0xFF, 0x7F}


@pytest.mark.parametrize(("content", "problem"), [(b"hello", SoundError), (pcm_file(22_050), SoundError), (None, FileNotFoundError)])
async def test_what_is_no_recording_of_ours_is_refused(tmp_path: Path, content: bytes | None, problem: type[Exception]) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(problem):
        await recognise_file(path)


async def test_without_the_extra_nothing_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_recogniser", lambda most: None)
    with pytest.raises(NoRecogniser, match=r"^Nothing that recognises speech is installed\.$"):
        await recognise_file(tmp_path / "file")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import sys; sys.exit('no more memory')", "The recogniser has ended. no more memory"),
        ("import time; time.sleep(60)", "The recogniser has taken nothing for 0.5 s."),
    ],
)
async def test_a_recogniser_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, sentence: str) -> None:
    monkeypatch.setattr(module, "find_recogniser", lambda most: Recogniser((sys.executable, "-c", program), most))
    monkeypatch.setattr(module, "FINISH_SECONDS", 0.5)
    path = record(tmp_path / "long", "wav", [bytes(2 * RATE * 60)])
    with pytest.raises(RecognitionFailed) as caught:
        await recognise_file(path)
    assert str(caught.value) == sentence


async def test_one_that_is_cancelled_ends_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser = Recogniser((sys.executable, "-c", "import time; time.sleep(60)"), 1)
    monkeypatch.setattr(module, "find_recogniser", lambda most: recogniser)
    task = asyncio.create_task(recognise_file(record(tmp_path / "long", "wav", [bytes(2 * RATE * 60)])))
    async with asyncio.timeout(20):
        while not len(recogniser):
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert len(recogniser) == 0
