"""A caller who speaks: what it says is in the webhook of `<Gather>`, and not in its record where digits are masked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from callflow.aio.phone import Phone, PhoneCall
from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.spool import Spool
from callflow.bxml.voices import Voice
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until

STORED = """
import json
from voiceapps.models import WebhookDelivery
bodies = WebhookDelivery.objects.filter(event_type="gather").values_list("body", flat=True)
result = [json.loads(body) if isinstance(body, str) else body for body in bodies]"""
ASK = (
    "<Response><Gather input='speech' hints='yes,no' gatherUrl='/answer' speechTimeout='1' firstDigitTimeout='20'>"
    "<SpeakSentence>Please say yes or no.</SpeakSentence></Gather></Response>"
)


async def spoken(folder: Path, text: str) -> bytes:
    """Return a sentence as a telephone sends it."""
    sound = await Espeak(Spool(str(folder))).speak(text, Voice("en_US", "male"))
    return b"\xff" * 4_000 + sound[:] + b"\xff" * 8_000


@asynccontextmanager
async def call(fleet: Fleet, backend: TestBackend) -> AsyncIterator[PhoneCall]:
    application = fleet.application(
        callback=f"{backend.url}/initiate", status=f"{backend.url}/status", passwordAuthEnabled=True, maskDigits=True
    )
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    try:
        yield await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    finally:
        await phone.close()


async def test_a_gather_hears_what_its_caller_says(make_fleet: Callable[..., Fleet], backend: TestBackend, tmp_path: Path) -> None:
    fleet = make_fleet(SIPURI_RECOGNITION="auto")
    fleet.start()
    backend.documents |= {"/initiate": ASK, "/answer": "<Response><Hangup/></Response>"}
    async with call(fleet, backend) as placed:
        await placed.wait_silence(0.7, timeout=20)
        await placed.play(await spoken(tmp_path, "Yes"))
        assert await placed.wait_ended(30) == "remote"
    (gather,) = await asyncio.to_thread(backend.wait, "gather")
    assert gather["speech"]["transcript"] == "yes"
    assert 0 < gather["speech"]["confidence"] <= 1
    assert (gather["digits"], gather["terminatingDigit"]) == ("", "")
    (stored,) = until(lambda: fleet.python(STORED), seconds=20, what="the webhook's record")
    assert stored["speech"] == {**gather["speech"], "transcript": "***"}


async def test_what_is_said_is_written_down_while_the_call_goes_on(
    make_fleet: Callable[..., Fleet], backend: TestBackend, tmp_path: Path
) -> None:
    fleet = make_fleet(SIPURI_RECOGNITION="auto")
    fleet.start()
    backend.documents["/initiate"] = (
        "<Response><StartTranscription name='desk' tracks='both' transcriptionEventUrl='/event'/>"
        "<Pause duration='6'/><StopTranscription/><Pause duration='60'/></Response>"
    )
    async with call(fleet, backend) as placed:
        await asyncio.to_thread(backend.wait, "realTimeTranscriptionStarted")
        await placed.play(await spoken(tmp_path, "One two three four five six seven"))
        (told,) = await asyncio.to_thread(backend.wait, "realTimeTranscriptionAvailable", seconds=60)
        await placed.hang_up()
    assert len(backend.of("realTimeTranscriptionStopped")) == 1
    url = told["realTimeTranscription"]["url"].partition("/api/")[2]
    shown = fleet.api("GET", f"/api/{url}")
    inbound, outbound = shown["tracks"]
    assert (inbound["track"], inbound["detectedLanguage"], outbound["track"]) == ("inbound", "en-US", "outbound")
    assert inbound["transcript"], "something was understood"
    assert 0 < inbound["confidence"] <= 1
    assert (outbound["transcript"], outbound["confidence"]) == ("", 0.0)
