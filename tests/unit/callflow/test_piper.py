"""Natural speech: clause by clause while it is made, and espeak-ng where piper is busy, dies or hangs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from callflow.aio.sounds import piper as module
from callflow.aio.sounds import speech
from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.piper import VOICE, Piper, find_piper
from callflow.aio.sounds.speech import Speaker
from callflow.aio.sounds.speech_error import SpeechUnavailable
from callflow.aio.sounds.spool import Spool
from callflow.audio.octets import GrowingSound, Octets, is_complete
from callflow.bxml.voices import Voice
from tests.unit.audio.sound_files import pcm_file

LONG = "Thank you for calling us today. " * 12
# Speaks a tone of half a second for each line, but for those that say what is to go wrong.
FAKE = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("-d") + 1])
Path({seen!r}).open("a").write(f"{{os.getpid()}}\\n")
for number, line in enumerate(sys.stdin):
    if "dies" in line:
        sys.exit("no more memory")
    while "hangs" in line or os.path.exists({gate!r}):
        time.sleep(0.01)
    path = folder / f"{{number}}.wav"
    path.write_bytes(b"" if "nothing" in line else Path({sound!r}).read_bytes())
    print(f"INFO:__main__:Wrote {{path}}", file=sys.stderr, flush=True)
"""

MakePiper = Callable[..., Piper]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakePiper]:
    made: list[Piper] = []
    (tmp_path / "tone.wav").write_bytes(pcm_file(22_050))
    fake = FAKE.format(seen=str(tmp_path / "seen"), gate=str(tmp_path / "gate"), sound=str(tmp_path / "tone.wav"))

    def new(command: tuple[str, ...] = (sys.executable, "-c", fake)) -> Piper:
        made.append(Piper(command, "fake", Spool(str(tmp_path))))
        return made[-1]

    yield new
    for one in made:
        await one.close()


@pytest.fixture
async def speaker(make: MakePiper, tmp_path: Path) -> AsyncIterator[Speaker]:
    espeak = tmp_path / "espeak"
    (tmp_path / "other.wav").write_bytes(pcm_file(8_000))
    espeak.write_text(f"#!/bin/sh\ncat >/dev/null\nexec cat {tmp_path}/other.wav\n")
    espeak.chmod(0o700)
    speaker = Speaker(str(tmp_path / "cache"), Espeak(Spool(str(tmp_path)), str(espeak)), make())
    yield speaker
    await speaker.close()


def starts(tmp_path: Path) -> int:
    """Return how often the program was started."""
    return len((tmp_path / "seen").read_text().split())


async def complete(sound: Octets) -> bytes:
    async with asyncio.timeout(20):
        while not is_complete(sound):
            await asyncio.sleep(0)
    return sound[:]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_one_process_speaks_clause_after_clause(make: MakePiper, tmp_path: Path) -> None:
    piper = make()
    assert {len(await piper.speak(text)) for text in ("One.", "Two.", "Three.")} == {4_000}
    assert starts(tmp_path) == 1
    assert piper.speaks(VOICE)
    assert not piper.speaks(Voice("en_US", "female"))


@pytest.mark.parametrize(
    ("clause", "sentence"),
    [("dies", "piper has ended. no more memory"), ("nothing", "piper wrote no audio. It is not a wav file.")],
)
async def test_one_that_fails_is_started_again(make: MakePiper, tmp_path: Path, clause: str, sentence: str) -> None:
    piper = make()
    await piper.speak("One.")
    with pytest.raises(SpeechUnavailable) as caught:
        await piper.speak(clause)
    assert str(caught.value) == sentence
    assert len(await piper.speak("Two.")) == 4_000
    assert starts(tmp_path) == 2


async def test_one_that_hangs_is_ended(make: MakePiper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piper = make()
    await piper.speak("One.")
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(SpeechUnavailable, match=r"^piper did not speak\. TimeoutError$"):
        await piper.speak("hangs")
    monkeypatch.undo()
    assert len(await piper.speak("Two.")) == 4_000
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "seen").read_text().split()[0]), 0)


async def test_one_that_cannot_be_started_is_left_alone_for_a_while(make: MakePiper, caplog: pytest.LogCaptureFixture) -> None:
    piper = make(("/nowhere/piper",))
    await piper.warm()
    assert "FileNotFoundError" in caplog.text
    assert not piper.speaks(VOICE)


async def test_a_clause_that_nobody_waits_for_is_not_heard_as_the_next_one(make: MakePiper, tmp_path: Path) -> None:
    piper = make()
    await piper.speak("One.")
    task = asyncio.create_task(piper.speak("hangs"))
    await until(lambda: piper._lock.locked())
    task.cancel()
    await asyncio.wait([task])
    assert len(await piper.speak("Two.")) == 4_000


async def test_a_long_sentence_is_heard_while_it_is_made(speaker: Speaker, tmp_path: Path) -> None:
    sound = await speaker.say(LONG, VOICE, account_id="1")
    assert isinstance(sound, GrowingSound)
    assert 0 < len(sound)
    whole = await complete(sound)
    assert len(whole) > 4_000
    await until(lambda: len(list((tmp_path / "cache").glob("*.ulaw"))) == 1)
    kept = await speaker.say(LONG, VOICE, account_id="2")
    assert kept[:] == whole
    assert not isinstance(kept, GrowingSound)


async def test_silences_are_between_the_clauses(speaker: Speaker) -> None:
    sound = await complete(await speaker.say("One.<break time='1s'/>Two.", VOICE, account_id="1"))
    assert len(sound) == 4_000 + 8_000 + 4_000
    assert sound[4_000:12_000] == b"\xff" * 8_000


async def test_all_who_want_one_sentence_hear_one(speaker: Speaker, tmp_path: Path) -> None:
    sounds = await asyncio.gather(*(speaker.say(LONG, VOICE, account_id=str(number)) for number in range(20)))
    assert len({id(sound) for sound in sounds}) == 1
    await complete(sounds[0])


Say = Callable[[Speaker], Awaitable[Octets]]


@pytest.mark.parametrize("text", ["dies", "nothing", "<break time='1s'/>", "x" * 4_000])
async def test_what_piper_does_not_say_the_other_engine_says(speaker: Speaker, text: str) -> None:
    sound = await speaker.say(text, VOICE, account_id="1")
    assert not isinstance(sound, GrowingSound)
    assert len(sound) == 4_000


async def test_other_voices_are_the_other_engines(speaker: Speaker, tmp_path: Path) -> None:
    await speaker.say("Hello", Voice("en_US", "female"), account_id="1")
    assert not (tmp_path / "seen").exists()


async def test_a_sentence_that_fails_in_the_middle_is_cut_short_and_not_kept(speaker: Speaker, tmp_path: Path) -> None:
    text = "A first clause that is long enough to be one by itself, and more. " + "It dies. " * 20
    whole = await complete(await speaker.say(text, VOICE, account_id="1"))
    assert len(whole) == 4_000
    assert list((tmp_path / "cache").glob("*")) == []


async def test_who_would_wait_long_hears_the_other_engine_and_the_next_one_piper(
    speaker: Speaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await speaker.warm()
    (tmp_path / "gate").touch()
    monkeypatch.setattr(speech, "BEGIN_SECONDS", 0.05)
    assert not isinstance(await speaker.say("Hello", VOICE, account_id="1"), GrowingSound)
    (tmp_path / "gate").unlink()
    await until(lambda: not speaker._making)
    assert starts(tmp_path) == 1
    monkeypatch.setattr(speech.Speaker, "_make", None)
    assert len(await speaker.say("Hello", VOICE, account_id="1")) == 4_000


async def test_only_so_many_sentences_are_made_at_once(speaker: Speaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await speaker.warm()
    (tmp_path / "gate").touch()
    monkeypatch.setattr(speech, "MAX_MAKING", 3)
    monkeypatch.setattr(speech, "BEGIN_SECONDS", 0.05)
    await asyncio.gather(*(speaker.say(f"Hello {number}", VOICE, account_id="1") for number in range(6)))
    assert len(speaker._making) == 3
    (tmp_path / "gate").unlink()


async def test_the_real_one_speaks(tmp_path: Path) -> None:
    piper = find_piper(Spool(str(tmp_path)))
    assert piper is not None, "This test needs the extra `speech`: pip install 'sipuri[speech]'."
    try:
        short, long = await piper.speak("Hello."), await piper.speak("Hello, and welcome to our service.")
    finally:
        await piper.close()
    assert 2_000 < len(short) < len(long) < 40_000
    assert len(set(short)) > 50
