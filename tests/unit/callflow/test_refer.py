"""`<Refer>` through the whole call flow, with a telephone that is written by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daemonkit.address import Address
from sipproxy.sip import Request, parse_message
from tests.unit.callflow.harness import CallflowHarness, running_callflow
from tests.unit.callflow.test_dialog_requests import OFFER, HandWritten
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallEnded, StatusEventQueued

DOCUMENT = "<Response><Refer referCompleteUrl='/done'><SipUri>sip:bob@example.com</SipUri></Refer><Pause duration='60'/></Response>"


class Telephone(HandWritten):
    """A caller that answers what it is asked with a status of its own; `requests` are what it was asked."""

    def __init__(self, server: Address, status: int) -> None:
        super().__init__(server)
        self.requests: asyncio.Queue[Request] = asyncio.Queue()
        self._status = status

    async def call(self) -> None:
        self.send("INVITE", 1, "Content-Type: application/sdp\r\n", OFFER)
        self.to = (await self.response(200)).header("to") or ""
        self.send("ACK", 1)

    async def asked(self, method: str) -> Request:
        """Return the next request of a method."""
        async with asyncio.timeout(10):
            while (request := await self.requests.get()).method != method:
                pass
        return request

    def notify(self, cseq: int, body: str) -> None:
        self.send("NOTIFY", cseq, "Event: refer\r\nContent-Type: message/sipfrag\r\n", body)

    def _on_datagram(self, data: bytes, source: Address) -> None:
        message = parse_message(data)
        if not isinstance(message, Request):
            super()._on_datagram(data, source)
            return
        response = message.make_response(self._status if message.method == "REFER" else 200)
        self._endpoint.send(bytes(response), self._server)
        self.requests.put_nowait(message)


async def talk(harness: CallflowHarness, status: int) -> tuple[Telephone, Request]:
    """Return a telephone in a call, and the REFER that it has answered."""
    harness.documents["/start"] = DOCUMENT
    telephone = Telephone(harness.server.address, status)
    await telephone.call()
    return telephone, await telephone.asked("REFER")


async def test_a_telephone_that_reaches_somebody_else_is_let_go(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        telephone, refer = await talk(harness, 202)
        assert (refer.header("refer-to"), refer.header("referred-by")) == ("<sip:bob@example.com>", "<sip:app-1@sip.example.com>")
        telephone.notify(2, "SIP/2.0 100 Trying\r\n")
        await telephone.response(200)
        telephone.notify(3, "SIP/2.0 200 OK\r\n")
        await telephone.asked("BYE")
        await harness.idle()
        telephone.close()
        assert harness.record(CallEnded).reason is EndReason.APPLICATION_HANGUP
        event = harness.record(StatusEventQueued)
    assert (event.event_type, event.url) == ("referComplete", f"{harness.base}/done")
    assert event.body["referCallStatus"] == "success"
    assert harness.bodies("/done") == []


@pytest.mark.parametrize(
    ("status", "fragment", "codes"),
    [
        (603, "", {"referSipResponseCode": 603}),
        (202, "SIP/2.0 486 Busy Here\r\n", {"referSipResponseCode": 202, "notifySipResponseCode": 486}),
    ],
)
async def test_a_telephone_that_reaches_nobody_stays(tmp_path: Path, status: int, fragment: str, codes: dict[str, Any]) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/done"] = "<Response><Hangup/></Response>"
        telephone, _ = await talk(harness, status)
        if fragment:
            telephone.notify(2, fragment)
        await telephone.asked("BYE")
        await harness.idle()
        telephone.close()
        (body,) = harness.bodies("/done")
    assert (body["eventType"], body["referCallStatus"]) == ("referComplete", "failure")
    assert {name: value for name, value in body.items() if name.endswith("ResponseCode")} == codes
