"""The tour's script: a customer signs in, gives an application a SIP URI, and calls it."""

from __future__ import annotations

import asyncio
import math
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from asgiref.sync import sync_to_async
from django.conf import settings

from callflow.aio.phone import CallFailed, Phone, PhoneCall
from demo.backend import Backend, Webhook
from demo.lab import Lab, LabError
from demo.narrator import Narrator
from mediarelay.rtp import g711
from voiceapps.daemon.outbound import signing_secret
from voiceapps.reads.call_report import CallReport, call_report

BACKEND = ("127.0.0.1", 8089)
DIGITS = "123"
MESSAGE_SECONDS = 2.0
TONE_HERTZ = 440
PATIENCE_SECONDS = 30.0


async def tell(lab: Lab, narrator: Narrator, *, stay: bool) -> None:
    """Tell the whole story; raises LabError at the first step that fails."""
    story = _Story(lab, narrator)
    narrator.success(f"All roles are up. Their logs: {lab.log_path}")
    await story.backend.start(*BACKEND)
    try:
        async with aiohttp.ClientSession(settings.PUBLIC_URL) as http:
            await story.sign_in(http)
            await story.create_application(http)
            await story.enable_sip(http)
        await story.call()
        await story.conclude()
        if stay:
            narrator.say("\nEverything stays up: call the SIP URI above with your own phone. Ctrl-C ends it.")
            await asyncio.Event().wait()
    finally:
        await story.backend.stop()


class _Story:
    def __init__(self, lab: Lab, narrator: Narrator) -> None:
        self.lab = lab
        self.narrator = narrator
        secret = signing_secret(settings.SIPURI_WEBHOOK_KEY, lab.account)
        self.backend = Backend(secret, self._on_webhook)
        self.webhooks: list[Webhook] = []
        self._headers: dict[str, str] = {}
        self._application: dict[str, Any] = {}
        self._disconnected = asyncio.Event()

    async def sign_in(self, http: aiohttp.ClientSession) -> None:
        self.narrator.scene("1  A customer asks for an access token")
        basic = aiohttp.BasicAuth(self.lab.client_id, self.lab.client_secret)
        path = "/api/v1/oauth2/token"
        token = await self._exchange(http, "POST", path, auth=basic, data={"grant_type": "client_credentials"})
        self._headers = {"Authorization": f"Bearer {token['access_token']}"}

    async def create_application(self, http: aiohttp.ClientSession) -> None:
        self.narrator.scene("2  creates a voice application")
        backend = "http://{}:{}".format(*BACKEND)
        body = {
            "applicationName": "My Voice App",
            "callInitiatedCallbackUrl": f"{backend}/initiate",
            "callStatusCallbackUrl": f"{backend}/status",
        }
        path = f"/v2/accounts/{self.lab.account}/voice-applications"
        self._application = (await self._exchange(http, "POST", path, headers=self._headers, json=body))["data"]

    async def enable_sip(self, http: aiohttp.ClientSession) -> None:
        self.narrator.scene("3  enables its SIP URI, with a password, for callers in the US")
        path = f"/v2/accounts/{self.lab.account}/voice-applications/{self._application['applicationId']}"
        body = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True, "allowedRegions": ["US"]}
        self._application = (await self._exchange(http, "PATCH", path, headers=self._headers, json=body))["data"]

    async def call(self) -> None:
        uri = self._application["sipUri"]
        self.narrator.scene(f"4  and calls {uri}")
        arrows = {"out": "SIP →", "in": "SIP ←"}
        phone = Phone(proxy=settings.SIP_BIND, on_message=lambda at, way, line: self.narrator.at(at, arrows[way], line))
        await phone.open()
        try:
            credentials = {"username": self._application["applicationId"], "password": self._application["sipAuthPassword"]}
            call = await phone.call(uri, **credentials, from_user="+15550100")
            await self._talk(call)
        except CallFailed as error:
            raise LabError(f"The call failed: {error}.") from error
        except TimeoutError as error:
            raise LabError("The call went silent: what the tour waits for did not come.") from error
        finally:
            await phone.close()

    async def conclude(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._disconnected.wait(), PATIENCE_SECONDS)
        call_id = self.webhooks[0].event["callId"] if self.webhooks else ""
        report = await self._settled_report(call_id)
        self.narrator.scene("5  What the system wrote down")
        self._print_report(report)
        self._judge(report)
        self._print_console(call_id)

    async def _talk(self, call: PhoneCall) -> None:
        say = self.narrator.event
        await call.wait_heard(1.0, timeout=PATIENCE_SECONDS)
        say("hears", "the greeting begins")
        await call.wait_silence(0.5, timeout=PATIENCE_SECONDS)
        say("sends", f"the digits {DIGITS} (RFC 4733)")
        await call.send_digits(DIGITS)
        await self._event("gather")
        await call.wait_silence(0.5, timeout=PATIENCE_SECONDS)
        say("sends", f"a message: {MESSAGE_SECONDS:g} s of {TONE_HERTZ} Hz, then #")
        await call.play(_tone(MESSAGE_SECONDS))
        await call.send_digits("#")
        who = await call.wait_ended(timeout=PATIENCE_SECONDS)
        say("ended", f"by the {who} side")
        path = self.lab.state_dir / "heard.wav"
        _save(path, bytes(call.heard))
        say("saved", f"{len(call.heard) / 8000:.1f} s of what the caller heard: {path}")

    async def _event(self, event_type: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(webhook.event["eventType"] == event_type for webhook in self.webhooks):
                await asyncio.sleep(0.05)

    async def _exchange(self, http: aiohttp.ClientSession, method: str, path: str, **request: Any) -> dict[str, Any]:
        self.narrator.event("HTTP →", f"{method} {path}")
        if "json" in request:
            self.narrator.json(request["json"])
        async with http.request(method, path, **request) as response:
            body: dict[str, Any] = await response.json()
            self.narrator.event("HTTP ←", f"{response.status} {response.reason}")
            self.narrator.json(_shortened(body))
            if response.status >= 300:
                raise LabError(f"{method} {path} answered {response.status}.")
            return body

    def _on_webhook(self, webhook: Webhook) -> None:
        self.webhooks.append(webhook)
        kind = webhook.event["eventType"]
        signed = "signature good" if webhook.signed else "SIGNATURE BAD"
        self.narrator.event("webhook", f"{kind} → {webhook.status} after {webhook.seconds * 1000:.1f} ms, {signed}")
        self.narrator.document(webhook.answer)
        if kind == "disconnect":
            self.narrator.json(webhook.event)
            self._disconnected.set()

    async def _settled_report(self, call_id: str) -> CallReport:
        """Wait until the media figures are written, too: they come with the relay's next batch."""
        report = None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while report is None or len(report.media) < 2 or any(line.state == "pending" for line in report.webhooks):
                await asyncio.sleep(0.1)
                report = await sync_to_async(call_report)(call_id)
        return report

    def _print_report(self, report: CallReport) -> None:
        tell = self.narrator
        head = report.head
        tell.say(f"call       {head.call_id}")
        tell.say(f"verdict    {report.verdict.title}. {report.verdict.cause}")
        tell.say(f"end        {head.end_class} / {head.end_reason} (cause {head.cause})")
        tell.say(f"duration   {head.duration_seconds or 0:.3f} s, answered after {head.setup_seconds or 0:.3f} s")
        for leg in report.media:
            figures = f"{leg.packets_in} packets in, {leg.packets_out} out, {leg.lost} lost, jitter {leg.jitter_ms:.1f} ms"
            tell.say(f"RTP        {leg.side:<9} {figures}; SDP said {leg.advertised}, packets came from {leg.observed}")
        for line in report.webhooks:
            tell.say(f"webhook    {line.event_type:<15} {line.status or line.error} in {line.latency_ms} ms ({line.state})")
        for recording in report.recordings:
            tell.say(f"recording  {recording.duration_ms / 1000:.2f} s: {recording.path}")
        tell.say("ladder     as the proxy saw it")
        for message in report.ladder:
            tell.at(message.seconds, message.leg, f"{message.source:>21} → {message.destination:<21} {message.first_line}")

    def _judge(self, report: CallReport) -> None:
        events = [webhook.event["eventType"] for webhook in self.webhooks]
        digits = next((webhook.event["digits"] for webhook in self.webhooks if webhook.event["eventType"] == "gather"), "")
        claims = {
            "every webhook came, in order": events == ["initiate", "gather", "recordComplete", "disconnect"],
            "every webhook was signed": all(webhook.signed for webhook in self.webhooks),
            "the digits reached the backend": digits == DIGITS,
            "the recording is there": bool(report.recordings) and Path(report.recordings[0].path).is_file(),
            "audio flowed on both sides": all(leg.packets_in > 0 and leg.packets_out > 0 for leg in report.media),
            "the call ended well": report.head.end_class == "success",
        }
        for claim, holds in claims.items():
            (self.narrator.success if holds else self.narrator.failure)(claim)
        if not all(claims.values()):
            raise LabError(f"Not everything happened; the roles' logs are in {self.lab.log_path}.")

    def _print_console(self, call_id: str) -> None:
        tell = self.narrator
        tell.say(f"\nConsole    {settings.PUBLIC_URL}/console/  (admin / {self.lab.admin_password})")
        tell.say(f"This call  {settings.PUBLIC_URL}/console/calls/{call_id}/")
        tell.say(f"API        {settings.PUBLIC_URL}/docs/api  (client {self.lab.client_id} / {self.lab.client_secret})")
        application = self._application
        proxy = "{}:{}".format(*settings.SIP_BIND)
        tell.say(f"SIP URI    {application['sipUri']} through {proxy}")
        tell.say(f"           user {application['applicationId']}, password {application['sipAuthPassword']}")


def _tone(seconds: float) -> bytes:
    samples = (int(8000 * math.sin(2 * math.pi * TONE_HERTZ * n / 8000)) for n in range(int(seconds * 8000)))
    return g711.pcm16_to_ulaw(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))


def _save(path: Path, ulaw: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(g711.ulaw_to_pcm16(ulaw))


def _shortened(body: dict[str, Any]) -> dict[str, Any]:
    """Shorten the token: the tour's output may be pasted somewhere."""
    return body | {"access_token": body["access_token"][:6] + "…"} if "access_token" in body else body
