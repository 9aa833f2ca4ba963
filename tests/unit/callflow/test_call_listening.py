"""Calls whose documents listen: the caller's audio reaches a recogniser, its words reach the webhook, and without one the call goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from callflow.aio import server as module
from callflow.aio.phone import PhoneCall
from callflow.aio.recognition.recogniser import Recogniser
from tests.unit.callflow.harness import CallflowHarness, running_callflow
from voiceapps.rules.reports import CallNotice

# Hears half a second, and then says what it was told to listen for.
FAKE = """
import json, sys
def read():
    size = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(int.from_bytes(size, "big")) if size else b""
def say(**event):
    print(json.dumps(event), flush=True)
wish = json.loads(read())["phrases"][0]
if wish == "dies":
    sys.exit("no more memory")
octets = 0
while octets < 8_000:
    octets += len(read())
say(event="began")
if wish == "unknown":
    say(event="lacking", words="sipuri")
    say(event="ended")
else:
    say(event="words", text=wish, confidence=0.9, start=0, end=0.5)
while read():
    pass
"""
GATHER = "<Gather input='speech' gatherUrl='/said' firstDigitTimeout='1' speechTimeout='1' {}/>"


@pytest.fixture
def recogniser(monkeypatch: pytest.MonkeyPatch) -> Recogniser:
    """The recogniser of the next server."""
    made = Recogniser((sys.executable, "-c", FAKE), most=1)
    monkeypatch.setattr(module, "find_recogniser", lambda: made)
    return made


async def listened(harness: CallflowHarness, attributes: str) -> tuple[dict[str, object], list[str]]:
    """Place a call whose document listens, and return the webhook at its end and the notes."""
    harness.documents.update({"/start": f"<Response>{GATHER.format(attributes)}</Response>", "/said": "<Response/>"})
    call = await harness.call()
    await call.wait_ended(20)
    await harness.idle()
    (body,) = harness.bodies("/said")
    return body, [record.text for record in harness.records if isinstance(record, CallNotice)]


async def test_what_a_caller_says_is_in_the_webhook(recogniser: Recogniser, tmp_path: Path) -> None:
    async with running_callflow(tmp_path, recognition=True) as harness:
        body, notes = await listened(harness, "hints='yes'")
        assert (body["speech"], body["digits"], notes) == ({"transcript": "yes", "confidence": 0.9}, "", [])
        assert harness.metric("listening") == 0


async def test_words_that_are_not_known_are_told(recogniser: Recogniser, tmp_path: Path) -> None:
    async with running_callflow(tmp_path, recognition=True) as harness:
        body, notes = await listened(harness, "hints='unknown'")
        assert "speech" not in body
        assert notes == ["<Gather>: The recogniser does not know the words: sipuri."]


@pytest.mark.parametrize(
    ("attributes", "reason", "sentence"),
    [
        ("hints='yes' language='de-DE'", "language", "The recogniser does not know the language de-DE."),
        ("hints='dies'", "failed", "The recogniser has ended. no more memory"),
    ],
)
async def test_what_cannot_be_recognised_is_told_and_the_call_goes_on(
    recogniser: Recogniser, tmp_path: Path, attributes: str, reason: str, sentence: str
) -> None:
    async with running_callflow(tmp_path, recognition=True) as harness:
        body, notes = await listened(harness, attributes)
        assert ("speech" in body, notes) == (False, [f"<Gather>: {sentence}"])
        assert harness.registry.get_sample_value("sipuri_callflow_recognition_refused_total", {"reason": reason}) == 1


async def test_a_call_flow_without_a_recogniser_says_so(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        body, notes = await listened(harness, "hints='yes'")
        assert ("speech" in body, notes) == (False, ["<Gather>: This system does not recognise speech."])
        assert harness.registry.get_sample_value("sipuri_callflow_recognition_refused_total", {"reason": "none"}) == 1
        assert harness.metric("listening") == 0


async def listening(recogniser: Recogniser, harness: CallflowHarness) -> PhoneCall:
    """Place a call that is listened to for long."""
    harness.documents["/start"] = "<Response><Gather input='speech' hints='yes' firstDigitTimeout='60' speechTimeout='60'/></Response>"
    call = await harness.call()
    await until(lambda: len(recogniser) == 1)
    return call


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_a_second_caller_is_told_that_the_recogniser_is_busy(recogniser: Recogniser, tmp_path: Path) -> None:
    async with running_callflow(tmp_path, recognition=True) as harness:
        call = await listening(recogniser, harness)
        assert harness.metric("listening") == 1
        await harness.call()
        await until(lambda: any(isinstance(record, CallNotice) for record in harness.records))
        assert harness.record(CallNotice).text == "<Gather>: The recogniser is busy with other callers."
        assert harness.registry.get_sample_value("sipuri_callflow_recognition_refused_total", {"reason": "busy"}) == 1
        await call.hang_up()


async def test_a_caller_whose_place_another_account_needs_is_told(
    recogniser: Recogniser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recogniser, "_most", 2)
    async with running_callflow(tmp_path, recognition=True) as harness:
        calls = [await listening(recogniser, harness)]
        calls.append(await harness.call())
        await until(lambda: len(recogniser) == 2)
        other = recogniser.listen("another", "en", ["yes"], print)
        await until(lambda: any(isinstance(record, CallNotice) for record in harness.records))
        sentence = "Another account needed the recogniser, of whose places this one had the most."
        assert harness.record(CallNotice).text == f"<Gather>: {sentence}"
        assert harness.registry.get_sample_value("sipuri_callflow_recognition_refused_total", {"reason": "taken"}) == 1
        other.close()
        await other.closed()
        for call in calls:
            await call.hang_up()


async def test_a_caller_who_hangs_up_is_listened_to_no_longer(recogniser: Recogniser, tmp_path: Path) -> None:
    async with running_callflow(tmp_path, recognition=True) as harness:
        call = await listening(recogniser, harness)
        await call.hang_up()
        await harness.idle()
        await until(lambda: len(recogniser) == 0)
