"""A telephone speaks into a recording, and the worker writes it down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from callflow.aio.phone import Phone
from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.spool import Spool
from callflow.bxml.voices import Voice
from tests.support.backend import TestBackend
from tests.support.fleet import ACCOUNT, Fleet

DOCUMENT = """<Response>
<Record maxDuration="10" recordCompleteUrl="/recorded" transcribe="true" transcriptionAvailableUrl="/written" tag="t1"/>
</Response>"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Every role, with a recogniser."""
    fleet = Fleet(tmp_path_factory.mktemp("written"), environment={"SIPURI_RECOGNITION": "auto"})
    try:
        fleet.start()
        yield fleet
    finally:
        codes = fleet.stop()
    assert set(codes.values()) == {0}, fleet.log()[-4000:]


@pytest.fixture
async def phone(fleet: Fleet) -> AsyncIterator[Phone]:
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    yield phone
    await phone.close()


async def spoken(words: str, directory: Path) -> bytes:
    sound = await Espeak(Spool(str(directory))).speak(words, Voice("en_US", "male"))
    return sound[0 : len(sound)]


async def recorded(fleet: Fleet, backend: TestBackend, phone: Phone, words: bytes) -> dict[str, Any]:
    """Say something into a recording, and return what its transcription's webhook says."""
    backend.documents |= {"/initiate": DOCUMENT, "/recorded": "<Response><Hangup/></Response>"}
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    call = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    await call.play(words)
    await call.send_digits("#")
    assert await call.wait_ended(20) == "remote"
    (event,) = await asyncio.to_thread(backend.wait, "transcriptionAvailable", 1, 90)
    return event


async def test_what_a_caller_says_is_written_down_told_and_read(fleet: Fleet, backend: TestBackend, phone: Phone, tmp_path: Path) -> None:
    event = await recorded(fleet, backend, phone, await spoken("yes", tmp_path))
    assert (event["transcription"]["status"], event["tag"]) == ("available", "t1")
    path = f"/api/v2/accounts/{ACCOUNT}/calls/{event['callId']}/recordings/{event['recordingId']}"
    assert fleet.api("GET", path)["transcription"]["id"] == event["transcription"]["id"]
    said = fleet.api("GET", f"{path}/transcription")
    assert [speech["speaker"] for speech in said["transcripts"]] == [0]
    # Which words the free model makes of a synthetic voice on the telephone is its own affair ("yeah" on this machine).
    assert said["transcripts"][0]["text"]
    assert all(0 <= clip["startTimeSeconds"] < clip["endTimeSeconds"] <= 10 for clip in said["clips"])
