"""A customer's backend, small enough to read in a minute: it greets, asks for digits, takes a message.

Its BXML is built by the vendor's own classes (PyPI `bandwidth-sdk`), so nothing here knows how our parser works.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from bandwidth.models.bxml import Gather, Hangup, Record, Response, SpeakSentence

GREETING = "Welcome to sipuri. This call runs on your own machine."
QUESTION = "Please press three digits."
THANKS = "Thank you. Good bye."


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook as the backend saw it, and its answer."""

    event: dict[str, Any]
    signed: bool
    answer: str
    status: int
    seconds: float


class Backend:
    """Serves `/initiate`, `/gather`, `/recorded` and `/status`, and passes each webhook to `on_webhook`."""

    def __init__(self, signing_secret: bytes, on_webhook: Callable[[Webhook], None]) -> None:
        self._secret = signing_secret
        self._on_webhook = on_webhook
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Open the listener."""
        application = web.Application()
        routes = {"/initiate": initiate, "/gather": gather, "/recorded": recorded, "/status": None}
        for path, document in routes.items():
            application.router.add_post(path, self._handler(document))
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner:
            await self._runner.cleanup()

    def _handler(self, document: Callable[[dict[str, Any]], str] | None) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            began = time.monotonic()
            body = await request.read()
            event = await request.json()
            answer = document(event) if document else ""
            status = 200 if document else 204
            self._on_webhook(Webhook(event, self._is_signed(request, body), answer, status, time.monotonic() - began))
            return web.Response(text=answer, status=status, content_type="application/xml" if document else "text/plain")

        return handle

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        """Verify the Standard Webhooks signature, as a careful customer does."""
        signed = f"{request.headers.get('webhook-id')}.{request.headers.get('webhook-timestamp')}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(expected, request.headers.get("webhook-signature", ""))


def initiate(_event: dict[str, Any]) -> str:
    """Greet and ask for digits."""
    question = Gather(gather_url="/gather", max_digits=3, first_digit_timeout=10, audio_verbs=[say(QUESTION)])
    return bxml(say(GREETING), question)


def gather(event: dict[str, Any]) -> str:
    """Read the digits back and take a message."""
    digits = " ".join(event["digits"])
    message = Record(record_complete_url="/recorded", max_duration=30, silence_timeout=4, terminating_digits="#", tag=event["digits"])
    return bxml(say(f"You pressed {digits}. Leave a message and press pound."), message)


def recorded(_event: dict[str, Any]) -> str:
    """Say goodbye."""
    return bxml(say(THANKS), Hangup())


def say(text: str) -> SpeakSentence:
    """Return a sentence of the voice that sounds natural where piper is installed."""
    return SpeakSentence(text, voice="paul")


def bxml(*verbs: Any) -> str:
    """Answer with a BXML document."""
    document: str = Response(list(verbs)).to_bxml()
    return document
