"""The real recogniser: what espeak-ng and piper say by telephone is understood, and what nobody listens for is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callflow.aio.recognition import worker as module
from callflow.aio.recognition.events import Event, SpeechBegan, SpeechEnded, WordsHeard, WordsLacking
from callflow.aio.recognition.recogniser import Recogniser, find_recogniser
from callflow.aio.recognition.search import EnglishSearch, PhraseSearch, search_for
from callflow.aio.recognition.worker import Ear
from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.spool import Spool
from callflow.bxml.voices import Voice
from mediarelay.rtp.g711 import ulaw_to_pcm16
from tests.support.fleet import until
from tests.unit.callflow.test_recogniser import Heard

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "speech"
SILENCE = b"\xff" * 4_000


@pytest.fixture
async def recogniser() -> AsyncIterator[Recogniser]:
    found = find_recogniser()
    assert found is not None, "This test needs the extra `asr`: pip install 'sipuri[asr]'."
    yield found
    await found.close()


async def espeak(folder: Path, text: str) -> bytes:
    return (await Espeak(Spool(str(folder))).speak(text, Voice("en_US", "male")))[:]


async def understood(recogniser: Recogniser, phrases: Sequence[str], *sounds: bytes) -> list[Event]:
    """Return what is told of sounds with silence around each."""
    heard = Heard()
    listening = recogniser.listen("a-1", "en-US", phrases, heard)
    audio = SILENCE + b"".join(sound + SILENCE for sound in sounds)
    for at in range(0, len(audio), 160):
        listening.hear(audio[at : at + 160])
        await listening.wait_for_room()
    listening.finish()
    assert await heard.over() is None
    assert listening.dropped == 0
    return heard.events[:-1]


async def test_phrases_are_understood_one_after_the_other(recogniser: Recogniser, tmp_path: Path) -> None:
    yes, no = await espeak(tmp_path, "Yes"), await espeak(tmp_path, "No")
    began, first, again, second = await understood(recogniser, ["Yes", "no!", "operator"], yes, no)
    assert began == again == SpeechBegan()
    assert isinstance(first, WordsHeard)
    assert isinstance(second, WordsHeard)
    assert (first.text, second.text) == ("yes", "no")
    assert 0.5 <= min(first.confidence, second.confidence) <= 1
    assert 0.2 < first.start < first.end < second.start < second.end < 3


async def test_other_words_and_noises_are_no_phrase(recogniser: Recogniser, tmp_path: Path) -> None:
    other = await espeak(tmp_path, "I would like to talk about the weather.")
    assert await understood(recogniser, ["yes", "no"], other) == [SpeechBegan(), SpeechEnded()]


async def test_without_phrases_a_natural_voice_is_understood(recogniser: Recogniser) -> None:
    # Spoken by piper, which says nothing twice in the same way.
    _, words = await understood(recogniser, [], (DATA / "help_with_my_bill.ulaw").read_bytes())
    assert isinstance(words, WordsHeard)
    assert words.text == "i need help with my bill"
    assert 0.5 < words.confidence <= 1


async def test_silence_is_nothing(recogniser: Recogniser) -> None:
    assert await understood(recogniser, ["yes"], SILENCE * 4) == []


async def test_words_that_are_not_known_are_told_and_left_out(recogniser: Recogniser, tmp_path: Path) -> None:
    lacking, _, words = await understood(recogniser, ["yes sipuri", "no"], await espeak(tmp_path, "Yes"))
    assert lacking == WordsLacking(("sipuri",))
    assert isinstance(words, WordsHeard)
    assert words.text == "yes"


def test_where_no_word_is_known_it_listens_for_all() -> None:
    # The dictionary has fillers, too, whose names would be rules in a grammar.
    search, lacking = search_for(["sipuri", "bxml 42", "42", "<s>"])
    assert isinstance(search, EnglishSearch)
    assert lacking == ["sipuri", "bxml", "42", "<s>"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text("abeinosy .,'-;=|*+<>()[]{}/\\\"#\nÄ", max_size=20), max_size=5))
def test_no_phrase_breaks_the_grammar(phrases: list[str]) -> None:
    search, _ = search_for(["yes", *phrases])
    assert isinstance(search, PhraseSearch)
    search.begin()
    search.hear(bytes(3_200))
    search.end()


class Spelled:
    """A search that understands how much it heard."""

    def __init__(self) -> None:
        self.heard = 0

    def begin(self) -> None:
        self.heard = 0

    def hear(self, samples: bytes) -> None:
        self.heard += len(samples)

    def end(self) -> tuple[str, float]:
        return f"{self.heard / 32_000:.2f}", 1.0


async def test_what_is_said_without_a_pause_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UTTERANCE_SECONDS", 0.6)
    told: list[dict[str, object]] = []
    ear = Ear(Spelled(), told.append)
    ear.hear(ulaw_to_pcm16(SILENCE + await espeak(tmp_path, "I would like to talk about the weather and so on")))
    ear.finish()
    words = [event for event in told if event["event"] == "words"]
    assert [event["text"] for event in words[:3]] == ["0.60"] * 3
    assert [event["end"] for event in words[:-1]] == [event["start"] for event in words[1:]]
    assert [event["event"] for event in told] == ["began", "words"] * len(words)


PARENT = """
import asyncio
from callflow.aio.recognition.recogniser import find_recogniser
async def main():
    recogniser = find_recogniser()
    listening = recogniser.listen("a-1", "en", ["yes"], print)
    print((await listening._starting)._process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_a_process_that_hangs_ends_with_one_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        line = Path(f"/proc/{pid}/cmdline")
        until(lambda: b"sendump" in Path(f"/proc/{pid}/maps").read_bytes(), seconds=20, what="it has loaded its model")
        os.kill(pid, signal.SIGSTOP)
        parent.kill()
    # What has ended has no command line, whether somebody has taken note of that or not.
    until(lambda: not line.exists() or not line.read_bytes(), seconds=20, what="it is gone")
