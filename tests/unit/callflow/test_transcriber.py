"""Calls that are written down while they go on: the words reach the record, the webhooks and a WebSocket, and what fails costs no call."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from callflow.aio import server as module
from callflow.aio.recognition.recogniser import Recogniser
from callflow.aio.streams import transcriber
from tests.unit.callflow.harness import CallflowHarness, running_callflow
from voiceapps.rules.reports import CallNotice, StatusEventQueued, TranscriptKept
from voiceapps.rules.transcripts import Clip

# Says a word for each half second that it hears, and one more at the end; its command says what is to go wrong.
FAKE = """
import json, sys
def read():
    size = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(int.from_bytes(size, "big")) if size else b""
def say(**event):
    print(json.dumps(event), flush=True)
assert json.loads(read())["phrases"] == []
if sys.argv[1] == "dies":
    sys.exit("no more memory")
octets = said = 0
while audio := read():
    octets += len(audio)
    while octets // 8_000 > said:
        said += 1
        say(event="words", text=f"word{said}", confidence=0.5, start=said / 2 - 0.5, end=said / 2)
say(event="words", text="bye", confidence=1, start=said / 2, end=said / 2 + 0.1)
say(event="over")
"""
FOLLOWED = (
    "<Response><StartTranscription name='notes' transcriptionEventUrl='/e' {}><CustomParam name='desk' value='7'/></StartTranscription>"
    "<Pause duration='{}'/><StopTranscription/><Pause/></Response>"
)


def recogniser(monkeypatch: pytest.MonkeyPatch, *, most: int = 2, fault: str = "none") -> Recogniser:
    """Return the recogniser of the next server."""
    made = Recogniser((sys.executable, "-c", FAKE, fault), most)
    monkeypatch.setattr(module, "find_recogniser", lambda: made)
    return made


class Desk:
    """A far end that is told what is said."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.hangs_up_after = 10**6
        application = web.Application()
        application.router.add_get("/notes", self._serve)
        self.server = TestServer(application)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/notes")).replace("http", "ws", 1)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.heard.append(json.loads(message.data))
            if len(self.heard) == self.hangs_up_after:
                break
        await socket.close()
        return socket


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await made.server.start_server()
    yield made
    await made.server.close()


async def followed(harness: CallflowHarness, attributes: str, seconds: float = 1.2) -> tuple[list[StatusEventQueued], list[TranscriptKept]]:
    """Place a call that is written down, and return what was told and kept of that."""
    harness.documents["/start"] = FOLLOWED.format(attributes, seconds)
    call = await harness.call()
    await call.wait_ended(30)
    await harness.idle()
    told = [record for record in harness.records if isinstance(record, StatusEventQueued)]
    return told, [record for record in harness.records if isinstance(record, TranscriptKept)]


def kinds(events: list[StatusEventQueued]) -> list[str]:
    return [event.event_type.removeprefix("realTimeTranscription") for event in events]


async def test_what_a_caller_says_is_kept_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recogniser(monkeypatch)
    async with running_callflow(tmp_path, recognition=True) as harness:
        events, (kept,) = await followed(harness, "")
        assert kinds(events) == ["Started", "Stopped", "Available"]
        assert (kept.name, kept.tracks, kept.language) == ("notes", ("inbound",), "en-US")
        assert kept.clips[:2] == (Clip(0, "word1", 0.5, 0.0, 0.5), Clip(0, "word2", 0.5, 0.5, 1.0))
        assert kept.clips[-1].text == "bye", "what was being said when it was stopped"
        assert len(made) == 0


async def test_both_tracks_are_followed_each_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser(monkeypatch)
    async with running_callflow(tmp_path, recognition=True) as harness:
        _, (kept,) = await followed(harness, "tracks='both' preferredLanguages='de-DE,en-GB'")
        assert (kept.tracks, kept.language) == (("inbound", "outbound"), "en-US")
        assert {clip.speaker for clip in kept.clips if clip.text == "word1"} == {0, 1}


async def test_a_track_whose_recogniser_another_account_needs_ends_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recogniser(monkeypatch)
    async with running_callflow(tmp_path, recognition=True) as harness:
        harness.documents["/start"] = FOLLOWED.format("tracks='both'", 1.5)
        call = await harness.call()
        while len(made) < 2:
            await asyncio.sleep(0)
        other = made.listen("another", "en", [], print)
        await call.wait_ended(30)
        await harness.idle()
        other.close()
        await other.closed()
        kept = harness.record(TranscriptKept)
        assert kept.clips
        assert {clip.speaker for clip in kept.clips} == {1}
        assert harness.registry.get_sample_value("sipuri_callflow_recognition_refused_total", {"reason": "taken"}) == 1


async def test_a_websocket_hears_each_utterance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    recogniser(monkeypatch)
    async with running_callflow(tmp_path, recognition=True) as harness:
        _, (kept,) = await followed(harness, f"destination='{desk.url}'")
    start, *words, stop = desk.heard
    assert (start["eventType"], start["customParams"], stop["eventType"]) == ("start", {"desk": "7"}, "stop")
    assert (start["metadata"]["realTimeTranscriptionId"], start["metadata"]["transcriptionName"]) == (kept.transcription_id, "notes")
    said = {"startTime": 0.0, "endTime": 0.5}
    item = {"content": "word1", **said, "confidence": 0.5, "stable": True, "type": "PRONUNCIATION"}
    whole = {"track": "inbound", **said, "isPartial": False, "language": "en-US", "transcript": "word1", "items": [item]}
    assert words[0] == {"eventType": "transcription", **whole}
    assert words[-1]["transcript"] == "bye"


async def test_a_far_end_that_hangs_up_ends_it_and_what_was_heard_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    recogniser(monkeypatch)
    desk.hangs_up_after = 2
    async with running_callflow(tmp_path, recognition=True) as harness:
        events, (kept,) = await followed(harness, f"destination='{desk.url}'", 2.0)
        assert kinds(events) == ["Started", "Stopped", "Available"]
        assert kept.clips[0].text == "word1"
        assert events[1].body["cause"] == "closed"


async def test_a_far_end_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    recogniser(monkeypatch)
    async with running_callflow(tmp_path, recognition=True) as harness:
        events, kept = await followed(harness, f"destination='{desk.url}-of-nobody'", 0.2)
        assert (kinds(events), kept) == (["Rejected"], [])
        assert (events[0].body["cause"], events[0].body["errorMessage"]) == ("connection-error", "It answered 404.")


@pytest.mark.parametrize(
    ("attributes", "most", "sentence"),
    [
        ("tracks='both'", 1, "The recogniser is busy with other callers."),
        ("preferredLanguages='de-DE'", 2, "The recogniser does not know the language de-DE."),
    ],
)
async def test_what_cannot_be_written_down_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attributes: str, most: int, sentence: str
) -> None:
    made = recogniser(monkeypatch, most=most)
    async with running_callflow(tmp_path, recognition=True) as harness:
        events, kept = await followed(harness, attributes, 0.2)
        assert (kinds(events), kept, len(made)) == (["Rejected"], [], 0)
        assert (events[0].body["cause"], events[0].body["errorMessage"]) == ("error", sentence)
        assert harness.record(CallNotice).text == f"<StartTranscription>: {sentence}"


async def test_without_a_recogniser_it_is_rejected(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        events, _ = await followed(harness, "", 0.2)
        assert events[0].body["errorMessage"] == "This system does not recognise speech."


async def test_a_recogniser_that_dies_ends_it_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser(monkeypatch, fault="dies")
    async with running_callflow(tmp_path, recognition=True) as harness:
        events, _ = await followed(harness, "")
        assert kinds(events) == ["Started", "Stopped", "Available"]
        assert (events[1].body["cause"], events[1].body["errorMessage"]) == ("error", "The recogniser has ended. no more memory")


@pytest.mark.parametrize(
    "document",
    [
        "<Pause duration='0.2'/><StartTranscription tracks='both'/>",
        "<StartTranscription/><StopTranscription/><Pause duration='0.3'/>",
        "<StartTranscription destination='{}'/><StopTranscription/><Pause duration='0.3'/>",
    ],
)
async def test_one_that_is_stopped_before_it_began_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk, document: str
) -> None:
    made = recogniser(monkeypatch)
    async with running_callflow(tmp_path, recognition=True) as harness:
        harness.documents["/start"] = f"<Response>{document.format(desk.url)}</Response>"
        call = await harness.call()
        await call.wait_ended(20)
        await harness.idle()
        assert len(made) == 0
        assert not [record for record in harness.records if isinstance(record, TranscriptKept)]


async def test_words_for_a_far_end_that_does_not_read_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    recogniser(monkeypatch)
    monkeypatch.setattr(transcriber, "MAX_WAITING_WORDS", 1)
    stuck = asyncio.Event()

    async def never(*_arguments: object) -> None:
        await stuck.wait()

    monkeypatch.setattr(transcriber.Transcriber, "_send", never)
    async with running_callflow(tmp_path, recognition=True) as harness:
        _, (kept,) = await followed(harness, f"destination='{desk.url}'", 1.8)
        assert len(kept.clips) >= 3, "they are kept all the same"
        assert harness.registry.get_sample_value("sipuri_callflow_stream_losses_total", {"reason": "slow"}) == len(kept.clips) - 1
