"""Processes that recognise speech: what they hear and say, and those that die, hang, flood or talk nonsense."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from callflow.aio.recognition import listening as module
from callflow.aio.recognition.events import MAX_TEXT, Event, Over, SpeechBegan, SpeechEnded, WordsHeard, WordsLacking, parse_event
from callflow.aio.recognition.listening import MAX_WAITING_SECONDS, RATE, Listening
from callflow.aio.recognition.recogniser import MAX_LISTENING, Recogniser, RecogniserBusy, UnknownLanguage

# Says how much it was handed, in how many messages; the phrases say what is to go wrong.
FAKE = """
import json, os, sys, time
from pathlib import Path
Path({seen!r}).open("a").write(f"{{os.getpid()}}\\n")
def read():
    size = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(int.from_bytes(size, "big")) if size else b""
def say(**event):
    print(json.dumps(event), flush=True)
wish = json.loads(read())["phrases"][0]
if wish == "dies":
    sys.exit("Traceback:\\nno more memory")
while wish == "hangs":
    time.sleep(1)
while wish == "floods":
    say(event="began")
if wish == "raves":
    print("hello", flush=True)
if wish == "never stops":
    sys.stdout.write("x" * 200_000)
    sys.stdout.flush()
    time.sleep(60)
say(event="began")
messages = octets = 0
while audio := read():
    messages, octets = messages + 1, octets + len(audio)
while wish == "hangs at the end":
    time.sleep(1)
say(event="words", text=f"{{octets}} in {{messages}}", confidence=0.5, start=0, end=octets / 16_000)
if wish != "leaves":
    say(event="over")
"""
FRAME = b"\xff" * 160

Make = Callable[..., Recogniser]


class Heard:
    """What a listening has told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def over(self) -> str | None:
        """Wait for the end and return what went wrong."""
        await self.until(lambda: any(isinstance(event, Over) for event in self.events))
        last = self.events[-1]
        assert isinstance(last, Over)
        return last.sentence


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Recogniser] = []

    def new(command: tuple[str, ...] = (sys.executable, "-c", FAKE.format(seen=str(tmp_path / "seen"))), most: int = 2) -> Recogniser:
        made.append(Recogniser(command, most))
        return made[-1]

    yield new
    for one in made:
        await one.close()


def pids(tmp_path: Path) -> list[int]:
    return [int(pid) for pid in (tmp_path / "seen").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_audio_goes_to_a_process_in_parts_of_a_tenth_of_a_second(make: Make) -> None:
    heard = Heard()
    listening = make().listen("a-1", "en-US", ["yes"], heard)
    for _ in range(12):
        listening.hear(FRAME)
    listening.finish()
    assert await heard.over() is None
    assert heard.events == [SpeechBegan(), WordsHeard("3840 in 3", 0.5, 0.0, 0.24), Over(None)]
    assert listening.dropped == 0


async def test_what_comes_before_the_process_has_started_is_heard_up_to_a_bound(make: Make) -> None:
    heard = Heard()
    listening = make().listen("a-1", "en", ["yes"], heard)
    for _ in range((MAX_WAITING_SECONDS + 1) * 50):
        listening.hear(FRAME)
    assert listening.dropped == RATE
    listening.finish()
    assert await heard.over() is None
    assert isinstance(said := heard.events[-2], WordsHeard)
    assert said.text.startswith(f"{MAX_WAITING_SECONDS * RATE * 2} ")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ("dies", "The recogniser has ended. no more memory"),
        ("leaves", "The recogniser has ended."),
        ("floods", "The recogniser says more than anybody can have said."),
        ("raves", r"The recogniser says what makes no sense: b'hello\n'."),
        ("never stops", "The recogniser says what makes no sense: b''."),
    ],
)
async def test_one_that_goes_wrong_is_told_in_a_sentence_and_ended(make: Make, tmp_path: Path, wish: str, sentence: str) -> None:
    recogniser, heard = make(most=1), Heard()
    listening = recogniser.listen("a-1", "en", [wish], heard)
    if wish == "leaves":
        listening.finish()
    assert await heard.over() == sentence
    assert len(recogniser) == 0
    assert is_gone(pids(tmp_path)[0])


@pytest.mark.parametrize("wish", ["hangs", "hangs at the end"])
async def test_one_that_hangs_is_ended(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setattr(module, "FINISH_SECONDS", 0.5)
    heard = Heard()
    listening = make(most=1).listen("a-1", "en", [wish], heard)
    for _ in range(5 * 50):
        listening.hear(FRAME)
    if wish == "hangs at the end":
        await heard.until(lambda: SpeechBegan() in heard.events)
    listening.finish()
    assert await heard.over() == "The recogniser took longer than 0.5 s."
    assert all(is_gone(pid) for pid in pids(tmp_path))


async def test_one_that_cannot_be_started_is_told(make: Make) -> None:
    heard = Heard()
    make(("/nowhere/recogniser",)).listen("a-1", "en", [], heard)
    assert await heard.over() == "The recogniser cannot be started: No such file or directory."


@pytest.mark.parametrize("started", [False, True])
async def test_one_that_is_closed_tells_nothing_more_and_is_gone(make: Make, tmp_path: Path, started: bool) -> None:
    recogniser, heard = make(most=1), Heard()
    listening = recogniser.listen("a-1", "en", ["yes"], heard)
    if started:
        await heard.until(lambda: heard.events == [SpeechBegan()])
    listening.close()
    await listening.closed()
    assert len(recogniser) == 0
    assert heard.events == [SpeechBegan()] * started
    assert not (tmp_path / "seen").exists() or all(is_gone(pid) for pid in pids(tmp_path))
    listening.hear(FRAME)
    listening.finish()


async def test_what_is_said_after_the_end_is_not_heard(make: Make) -> None:
    heard = Heard()
    listening = make().listen("a-1", "en", ["yes"], heard)
    listening.hear(FRAME * 50)
    listening.finish()
    listening.hear(FRAME * 50)
    assert await heard.over() is None
    assert heard.events[-2] == WordsHeard("16000 in 10", 0.5, 0.0, 1.0)


async def test_one_that_is_closed_by_what_it_says_tells_nothing_more(make: Make) -> None:
    told: list[Event] = []

    def take(event: Event) -> None:
        told.append(event)
        listening.close()

    listening: Listening = make().listen("a-1", "en", ["leaves"], take)
    listening.finish()
    await listening.closed()
    assert told == [SpeechBegan()]


async def test_there_are_only_so_many_at_once(make: Make) -> None:
    recogniser = make(most=2)
    first = recogniser.listen("a-1", "en", ["yes"], Heard())
    recogniser.listen("a-1", "en", ["yes"], Heard())
    with pytest.raises(RecogniserBusy, match=r"^The recogniser is busy with other callers\.$"):
        recogniser.listen("a-1", "en", ["yes"], Heard())
    first.close()
    await first.closed()
    recogniser.listen("a-1", "en", ["yes"], Heard())
    assert len(recogniser) == 2
    assert MAX_LISTENING >= 1


async def test_an_account_that_has_the_most_places_gives_one_up(make: Make, tmp_path: Path) -> None:
    recogniser, heard = make(most=3), [Heard() for _ in range(5)]
    for number in range(3):
        recogniser.listen("a-1", "en", ["yes"], heard[number])
    recogniser.listen("a-2", "en", ["yes"], heard[3])
    assert heard[0].events == []
    assert await heard[0].over() == "Another account needed the recogniser, of whose places this one had the most."
    assert isinstance(over := heard[0].events[-1], Over)
    assert over.is_taken
    async with asyncio.timeout(20):
        while len(recogniser) > 3:
            await asyncio.sleep(0)
    for account in ("a-1", "a-2"):
        with pytest.raises(RecogniserBusy):
            recogniser.listen(account, "en", ["yes"], Heard())
    recogniser.listen("a-3", "en", ["yes"], heard[4])
    await heard[1].over()
    for account in ("a-1", "a-2", "a-3", "a-4"):
        with pytest.raises(RecogniserBusy):
            recogniser.listen(account, "en", ["yes"], Heard())
    for other in heard[2:5]:
        await other.until(partial(bool, other.events))
        assert other.events == [SpeechBegan()]
    await recogniser.close()
    assert len(recogniser) == 0
    assert all(is_gone(pid) for pid in pids(tmp_path))


async def test_who_needs_two_places_takes_none_in_vain(make: Make) -> None:
    recogniser, heard = make(most=2), [Heard(), Heard()]
    for one in heard:
        recogniser.listen("a-1", "en", ["yes"], one)
    with pytest.raises(RecogniserBusy):
        recogniser.check_room("a-2", 2)
    recogniser.check_room("a-2", 1)
    for one in heard:
        await one.until(partial(bool, one.events))
        assert one.events == [SpeechBegan()]
    with pytest.raises(RecogniserBusy):
        recogniser.check_room("a-1", 1)
    alone = make(most=2)
    alone.check_room("a-1", 2)
    with pytest.raises(RecogniserBusy):
        alone.check_room("a-1", 3)


async def test_one_that_was_given_up_counts_no_more_but_is_ended_all_the_same(make: Make, tmp_path: Path) -> None:
    recogniser, heard = make(most=2), Heard()
    first = recogniser.listen("a-1", "en", ["hangs"], heard)
    recogniser.listen("a-1", "en", ["hangs"], Heard())
    while not (tmp_path / "seen").exists() or len(pids(tmp_path)) < 2:
        await asyncio.sleep(0)
    recogniser.listen("a-2", "en", ["yes"], Heard())
    await recogniser.close()
    await first.closed()
    assert all(is_gone(pid) for pid in pids(tmp_path))


@pytest.mark.parametrize("language", ["de-DE", "", "eng", "de-en"])
async def test_other_languages_are_refused(make: Make, language: str) -> None:
    with pytest.raises(UnknownLanguage):
        make().listen("a-1", language, [], Heard())


@pytest.mark.parametrize("language", ["en", "en-US", "EN-gb", "en_UK"])
async def test_english_is_known_by_all_its_names(make: Make, language: str) -> None:
    make().listen("a-1", language, ["yes"], Heard())


async def test_a_process_is_kept_warm_and_taken(make: Make, tmp_path: Path) -> None:
    recogniser, heard = make(most=1), Heard()
    recogniser.keep_warm()
    recogniser.keep_warm()
    async with asyncio.timeout(20):
        while not (tmp_path / "seen").exists() or not pids(tmp_path):
            await asyncio.sleep(0)
    listening = recogniser.listen("a-1", "en", ["yes"], heard)
    listening.finish()
    assert await heard.over() is None
    assert len(pids(tmp_path)) == 1 or pids(tmp_path)[0] != pids(tmp_path)[-1]


async def test_a_warm_process_that_has_died_is_not_taken(make: Make, tmp_path: Path) -> None:
    recogniser, heard = make(most=1), Heard()
    recogniser.keep_warm()
    assert recogniser._warm is not None
    process = await recogniser._warm
    process._process.kill()
    await process._process.wait()
    recogniser.listen("a-1", "en", ["yes"], heard).finish()
    assert await heard.over() is None


async def test_all_are_gone_when_it_is_closed(make: Make, tmp_path: Path) -> None:
    recogniser, heard = make(most=2), Heard()
    recogniser.listen("a-1", "en", ["yes"], heard)
    await heard.until(lambda: heard.events != [])
    await recogniser.close()
    assert all(is_gone(pid) for pid in pids(tmp_path))


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b'{"event": "began"}', SpeechBegan()),
        (b'{"event": "ended"}', SpeechEnded()),
        (b'{"event": "lacking", "words": "sipuri bxml"}', WordsLacking(("sipuri", "bxml"))),
        (b'{"event": "words", "text": "yes", "confidence": 1.2, "start": 1, "end": 2.5}', WordsHeard("yes", 1.0, 1.0, 2.5)),
        (b'{"event": "over"}', Over(None)),
    ],
)
def test_each_event_is_read(line: bytes, event: Event) -> None:
    assert parse_event(line) == event


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 60_000,
        b'{"event": "sings"}',
        b'{"event": "words"}',
        b'{"event": "words", "text": "", "confidence": 1, "start": 1, "end": 2}',
        b'{"event": "words", "text": "yes", "confidence": NaN, "start": 1, "end": 2}',
        b'{"event": "words", "text": "yes", "confidence": 1, "start": true, "end": 2}',
        b'{"event": "words", "text": "yes", "confidence": 1, "start": 1, "end": 1e999}',
        b'{"event": "words", "text": "' + b"x" * (MAX_TEXT + 1) + b'", "confidence": 1, "start": 1, "end": 2}',
    ],
)
def test_nonsense_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_event(line)
