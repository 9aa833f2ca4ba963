"""The same caller and the same backend, once in a call and once in a simulation: the application is asked the same."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

from callflow.aio.simulated_call import run_simulation
from callflow.bxml import Webhook
from callflow.config import Application
from callflow.simulation.simulator import Simulation
from tests.unit.callflow.harness import CallflowHarness, running_callflow
from tests.unit.engine.driver import FACTS
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.reports import StatusEventQueued
from voiceapps.rules.trials.call_simulation import Script, SimulatedCall

DOCUMENTS = {
    "/start": "<Gather gatherUrl='/choice' maxDigits='1'><SpeakSentence>Press one</SpeakSentence></Gather>",
    "/choice": "<Tag>sales</Tag><StartGather dtmfUrl='/digit'/>"
    "<Gather gatherUrl='/pin' terminatingDigits='#'><SpeakSentence>And your number</SpeakSentence></Gather>",
    "/pin": "<Record recordCompleteUrl='/kept' maxDuration='1.2' fileFormat='mp3'/>",
    "/kept": "<Ring duration='0.2'/><Redirect redirectUrl='/bye' tag='done'/>",
    "/bye": "<SpeakSentence>Goodbye</SpeakSentence>",
}
TOLD = "eventType", "digits", "terminatingDigit", "tag", "channels", "fileFormat", "cause"
"""What does not change from call to call."""


def told(requests: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, {name: body[name] for name in TOLD if name in body}) for path, body in requests]


async def call(harness: CallflowHarness) -> None:
    phone_call = await harness.call()
    for digits in ("1", "42#"):
        await phone_call.wait_silence(0.7, 10)
        await phone_call.send_digits(digits)
    await phone_call.wait_ended(20)
    await harness.idle()


async def simulate(harness: CallflowHarness) -> SimulatedCall:
    script = Script.parse({"turns": [{"digits": "1"}, {"digits": "42#"}]})
    application = Application(Webhook(f"{harness.base}/start"), 5.0, 30.0, 25.0)
    simulation = Simulation(script, application, FACTS, harness.config, lambda: str(uuid.uuid4()))
    client = WebhookClient(allow_private=True, signing_key=b"k" * 32)
    call = await run_simulation(simulation, client, "9900000", deadline_seconds=10)
    await client.close()
    return call


async def test_a_simulation_asks_what_a_call_asks(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents.update({path: f"<Response>{verbs}</Response>" for path, verbs in DOCUMENTS.items()})
        async with asyncio.timeout(60):
            await call(harness)
        asked = told(harness.backend.requests)
        assert [path for path, _ in asked] == list(DOCUMENTS)
        harness.backend.requests.clear()
        simulation = await simulate(harness)
        assert told(harness.backend.requests) == asked
        assert simulation.problem is None
        events = [record for record in harness.records if isinstance(record, StatusEventQueued)]
        named = [entry.text.split()[0] for entry in simulation.transcript if entry.what == "event"]
        assert named == [event.event_type for event in events]
