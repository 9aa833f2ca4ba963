"""Whole calls over loopback: phone, call flow, a customer's backend, speech, digits and recordings."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from callflow.aio.phone import RATE, CallFailed, Phone, PhoneCall
from callflow.aio.server import CallflowServer
from callflow.aio.speech import Speaker
from callflow.bxml import Webhook
from callflow.bxml.voices import Voice
from callflow.config import Application, CallflowConfig
from daemonkit.address import Address
from daemonkit.udp import UdpEndpoint
from mediarelay.rtp.g711 import pcm16_to_ulaw, ulaw_to_pcm16
from tests.unit.user_agent.link import CALL_ID, HEADER
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.endings import EndReason
from voiceapps.rules.records import (
    CallAnswered,
    CallEnded,
    Record,
    RecordingStored,
    StatusEventQueued,
    WebhookFetched,
)

T = TypeVar("T")
URI = "sip:app-1@sip.example.com"
VOICE = Voice("en_US", "female")


class Shim:
    """Stand where the proxy stands: add the private header to INVITEs and carry datagrams both ways."""

    def __init__(self, callflow: Address) -> None:
        self._callflow = callflow
        self._phone: Address | None = None
        self._endpoint = UdpEndpoint(("127.0.0.1", 0), self._on_datagram)
        self._endpoint.open()
        self.local = self._endpoint.local
        self.silent = False

    def close(self) -> None:
        self._endpoint.close()

    def _on_datagram(self, data: bytes, source: Address) -> None:
        if source == self._callflow:
            if self._phone and not self.silent:
                self._endpoint.send(data, self._phone)
            return
        self._phone = source
        line, _, rest = data.partition(b"\r\n")
        if line.startswith(b"INVITE"):
            data = line + b"\r\n" + HEADER.encode() + b"\r\n" + rest
        self._endpoint.send(data, self._callflow)


@dataclass
class World:
    """Hold everything that one test's calls need."""

    server: CallflowServer
    phone: Phone
    shim: Shim
    config: CallflowConfig
    documents: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    async def call(self) -> PhoneCall:
        return await self.phone.call(URI, username="", password="", timeout=10)

    async def idle(self) -> None:
        async with asyncio.timeout(10):
            while not self.server.idle():
                await asyncio.sleep(0.01)

    def record(self, kind: type[T]) -> T:
        (found,) = [record for record in self.records if isinstance(record, kind)]
        return found

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for seen, body in self.requests if seen == path]


def config_in(folder: Path) -> CallflowConfig:
    return CallflowConfig(
        name="callflow-1",
        bind=("127.0.0.1", 0),
        media_address="127.0.0.1",
        public_url="https://voice.example.com",
        recordings_dir=str(folder / "recordings"),
        prompts_dir=str(folder / "prompts"),
    )


@asynccontextmanager
async def a_world(tmp_path: Path, **options: Any) -> AsyncIterator[World]:
    documents: dict[str, str] = {}
    requests: list[tuple[str, dict[str, Any]]] = []
    records: list[Record] = []

    async def handle(request: web.Request) -> web.Response:
        requests.append((request.path, await request.json()))
        text = documents.get(request.path)
        return web.Response(status=404) if text is None else web.Response(text=text, content_type="application/xml")

    async def sound(_: web.Request) -> web.Response:
        return web.Response(body=(tmp_path / "tone.wav").read_bytes(), content_type="audio/wav")

    application = web.Application()
    application.router.add_get("/tone.wav", sound)
    application.router.add_post("/{name}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def find(application_id: str) -> Application | None:
        return Application(Webhook(f"{base}/start"), 5.0) if application_id == "app-1" else None

    config = replace(config_in(tmp_path), **options)
    server = CallflowServer(
        config,
        find_application=find,
        new_client=lambda: WebhookClient(allow_private=True, signing_key=b"k" * 32),
        put_record=records.append,
        registry=CollectorRegistry(),
    )
    await server.start()
    shim = Shim(server.address)
    phone = Phone(proxy=shim.local)
    await phone.open()
    try:
        yield World(server, phone, shim, config, documents, requests, records)
    finally:
        await phone.close()
        await server.stop()
        shim.close()
        await runner.cleanup()


def tone(seconds: float, hertz: float = 440.0) -> bytes:
    step = 2 * math.pi * hertz / RATE
    return pcm16_to_ulaw(b"".join(struct.pack("=h", int(8000 * math.sin(step * n))) for n in range(int(seconds * RATE))))


async def test_a_menu_is_heard_and_answered(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.documents["/start"] = (
            "<Response><SpeakSentence>Welcome</SpeakSentence>"
            "<Gather gatherUrl='/choice' maxDigits='2'><SpeakSentence>Press two digits</SpeakSentence></Gather></Response>"
        )
        world.documents["/choice"] = "<Response><SpeakSentence>Goodbye</SpeakSentence></Response>"
        call = await world.call()
        await call.wait_heard(1.0, timeout=10)
        await call.wait_silence(0.5, timeout=10)
        await call.send_digits("42")
        assert await call.wait_ended(timeout=10) == "remote"
        await world.idle()
        speaker = Speaker(world.config.prompts_dir)
        for text in ("Welcome", "Press two digits", "Goodbye"):
            assert (await speaker.say(text, VOICE)) in bytes(call.heard)
        (gathered,) = world.bodies("/choice")
        assert (gathered["digits"], gathered["terminatingDigit"], gathered["callId"]) == ("42", "", CALL_ID)
        assert world.record(CallEnded).reason is EndReason.APPLICATION_HANGUP
        answered = world.record(CallAnswered)
        assert abs(answered.at - time.time()) < 30
        fetched = [record for record in world.records if isinstance(record, WebhookFetched)]
        assert [(f.event_type, f.status) for f in fetched] == [("initiate", 200), ("gather", 200)]
        assert json.loads(fetched[0].request_body)["eventType"] == "initiate"
        assert "Press two digits" in fetched[0].response_body


async def test_a_caller_leaves_a_recording(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.documents["/start"] = "<Response><Record recordCompleteUrl='/done' recordingAvailableUrl='/kept'/></Response>"
        world.documents["/done"] = "<Response><Hangup/></Response>"
        call = await world.call()
        await call.play(tone(1.0))
        await call.send_digits("#")
        assert await call.wait_ended(timeout=10) == "remote"
        await world.idle()
        stored = world.record(RecordingStored)
        with wave.open(stored.path) as file:
            samples = file.readframes(100_000)
        assert abs(len(samples) // 2 - stored.duration_ms * 8) < 8
        assert ulaw_to_pcm16(tone(1.0)) in samples
        (done,) = world.bodies("/done")
        assert (done["eventType"], done["recordingId"]) == ("recordComplete", stored.recording_id)
        queued = world.record(StatusEventQueued)
        assert queued.url.endswith("/kept")
        assert Path(stored.path).is_relative_to(world.config.recordings_dir)


async def test_a_sound_file_is_played(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(ulaw_to_pcm16(tone(0.5)))
    async with a_world(tmp_path) as world:
        world.documents["/start"] = "<Response><PlayAudio>tone.wav</PlayAudio></Response>"
        call = await world.call()
        assert await call.wait_ended(timeout=10) == "remote"
        assert tone(0.5) in bytes(call.heard)
        assert call.session is not None
        assert call.session.packets_received == 25


async def test_a_missing_sound_file_ends_the_call(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.documents["/start"] = "<Response><PlayAudio>missing.wav</PlayAudio></Response>"
        call = await world.call()
        assert await call.wait_ended(timeout=10) == "remote"
        ended = world.record(CallEnded)
        assert ended.reason is EndReason.APPLICATION_ERROR
        assert "could not be fetched. It answered 40" in (ended.error_message or "")


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        (None, 500, EndReason.CALLBACK_ERROR),
        ("<Response><Blink/></Response>", 500, EndReason.INVALID_BXML),
        ("<Response/>", 603, EndReason.APPLICATION_REJECTED),
    ],
)
async def test_calls_that_are_never_answered(tmp_path: Path, document: str | None, status: int, reason: EndReason) -> None:
    async with a_world(tmp_path) as world:
        if document is not None:
            world.documents["/start"] = document
        with pytest.raises(CallFailed) as caught:
            await world.call()
        assert caught.value.status == status
        assert world.record(CallEnded).reason is reason
        await world.idle()


async def test_the_caller_hangs_up(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.documents["/start"] = "<Response><Record recordCompleteUrl='/done'/></Response>"
        call = await world.call()
        await call.play(tone(0.3))
        await call.hang_up()
        assert await call.wait_ended(timeout=1) == "local"
        await world.idle()
        assert world.record(CallEnded).reason is EndReason.CALLER_HANGUP
        assert world.record(RecordingStored).duration_ms >= 300
        assert world.bodies("/done") == []


async def test_a_call_without_audio_is_ended(tmp_path: Path) -> None:
    async with a_world(tmp_path, media_timeout_seconds=0.3) as world:
        world.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        call = await world.call()
        assert call.session is not None
        call.session.stop_playing()
        assert await call.wait_ended(timeout=10) == "remote"
        assert world.record(CallEnded).reason is EndReason.MEDIA_TIMEOUT


async def test_audio_keeps_a_call_up(tmp_path: Path) -> None:
    async with a_world(tmp_path, media_timeout_seconds=0.5) as world:
        world.documents["/start"] = "<Response><Pause duration='1.5'/></Response>"
        call = await world.call()
        await call.play(tone(3.0))
        assert world.record(CallEnded).reason is EndReason.APPLICATION_HANGUP


async def test_draining_refuses_new_calls_and_keeps_old_ones(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        call = await world.call()
        assert world.server.ready()
        world.server.drain()
        assert not world.server.ready()
        with pytest.raises(CallFailed) as caught:
            await world.call()
        assert caught.value.status == 503
        assert not world.server.idle()
        assert not call.ended
        await call.hang_up()
        await world.idle()


async def test_stopping_ends_calls_with_a_record(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        call = await world.call()
        await world.server.stop()
        assert await call.wait_ended(timeout=5) == "remote"
        assert world.record(CallEnded).reason is EndReason.NODE_LOST
        assert world.server.load == 0


async def test_many_calls_leave_nothing_behind(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.documents["/start"] = "<Response><SpeakSentence>Hi</SpeakSentence></Response>"

        async def one() -> None:
            call = await world.call()
            assert await call.wait_ended(timeout=20) == "remote"
            assert (await Speaker(world.config.prompts_dir).say("Hi", VOICE)) in bytes(call.heard)

        await asyncio.gather(*(one() for _ in range(20)))
        await world.idle()
        assert sum(isinstance(record, CallEnded) for record in world.records) == 20


async def test_a_phone_gives_up_on_a_silent_proxy(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.shim.silent = True
        world.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        with suppress(TimeoutError), pytest.raises(CallFailed) as caught:
            await world.phone.call(URI, username="", password="", timeout=0.5)
        assert caught.value.status == 408


async def test_a_held_call_hears_nothing_and_goes_on_afterwards(tmp_path: Path) -> None:
    async with a_world(tmp_path, media_timeout_seconds=0.4) as world:
        world.documents["/start"] = f"<Response>{'<SpeakSentence>A long sentence to hear.</SpeakSentence>' * 2}</Response>"
        call = await world.call()
        await call.wait_heard(0.3, timeout=5)
        await reinvite(world, call, "sendonly")
        await call.wait_silence(0.3, timeout=5)
        assert call.session is not None
        call.session.stop_playing()
        heard = len(call.heard)
        await asyncio.sleep(0.5)
        assert (len(call.heard), call.ended) == (heard, False)
        await reinvite(world, call, "sendrecv")
        await call.wait_heard(heard / RATE + 0.2, timeout=5)
        assert await call.wait_ended(timeout=10) == "remote"


async def reinvite(world: World, call: PhoneCall, direction: str) -> None:
    """Send the INVITE of a telephone's hold key, which our own phone does not have."""
    agent = world.phone._sip_endpoint.agent
    (sip,) = agent._calls.values()
    sent = agent.layer.counters.stray
    body = (
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {call.local[1]} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    )
    assert sip.dialog is not None
    headers = [("Contact", f"<{sip.dialog.contact}>"), ("Content-Type", "application/sdp")]
    sip._refresh.key = agent._context.send_in_dialog(
        sip.number, sip.dialog, "INVITE", time.monotonic(), headers=headers, body=body.encode()
    )
    world.phone._sip_endpoint.pump()

    def answered() -> bool:
        return sip._refresh.key is None

    async with asyncio.timeout(5):
        while not answered():
            await asyncio.sleep(0.01)
    assert agent.layer.counters.stray == sent
