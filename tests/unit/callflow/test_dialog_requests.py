"""What requests in the dialog come to, through the whole call flow: digits by INFO, reliable ringing, signs of life."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemonkit.address import Address
from daemonkit.udp import UdpEndpoint
from sipproxy.sip import Response, parse_message
from tests.unit.callflow.harness import URI, CallflowHarness, running_callflow
from tests.unit.user_agent.link import sealed
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallEnded, WebhookFetched

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


async def test_digits_by_info_are_gathered(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Gather maxDigits='3' gatherUrl='/g'/></Response>"
        harness.documents["/g"] = "<Response/>"
        call = await harness.call()
        for digit in ("4", "11", "*"):
            send_info(harness, f"Signal={digit}\r\nDuration=160\r\n")
        assert await call.wait_ended(timeout=10) == "remote"
        assert harness.bodies("/g")[0]["digits"] == "4#*"


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_masked_digits_reach_the_backend_and_no_record_and_no_log_line(tmp_path: Path, method: str) -> None:
    with capture_logs() as lines:
        async with running_callflow(tmp_path, mask_digits=True) as harness:
            harness.documents["/start"] = f"<Response><Gather terminatingDigits='#' gatherUrl='/g' gatherMethod='{method}'/></Response>"
            harness.documents["/g"] = "<Response/>"
            call = await harness.call()
            for digit in "904172638#":
                send_info(harness, f"Signal={digit}\r\nDuration=160\r\n")
            assert await call.wait_ended(timeout=10) == "remote"
            await harness.idle()
            (gathered,) = harness.bodies("/g")
    assert (gathered["digits"], gathered["terminatingDigit"]) == ("904172638", "#")
    (record,) = [record for record in harness.records if isinstance(record, WebhookFetched) and record.event_type == "gather"]
    assert (json.loads(record.request_body)["digits"], json.loads(record.request_body)["terminatingDigit"]) == ("*" * 9, "*")
    assert "904172638" not in repr([harness.records, lines])


async def test_a_silent_caller_is_asked_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_callflow(tmp_path, media_timeout=0.2) as harness:
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        asked, third = itertools.count(1), asyncio.Event()

        def count_questions(_at: float, direction: str, line: str) -> None:
            if direction == "in" and line.startswith("OPTIONS ") and next(asked) == 3:
                third.set()

        monkeypatch.setattr(harness.phone, "_on_message", count_questions)
        call = await harness.call()
        monkeypatch.setattr(call._media, "_transmit", lambda _session: None)
        await asyncio.wait_for(third.wait(), 10)
        assert not call.ended


async def test_a_caller_that_requires_it_rings_reliably_with_our_description(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        caller = HandWritten(harness.server.address)
        caller.send("INVITE", 1, "Require: 100rel\r\nContent-Type: application/sdp\r\n", OFFER)
        ringing = await caller.response(180)
        assert (ringing.header("rseq"), b"m=audio " in ringing.body) == ("1", True)
        caller.to = ringing.header("to") or ""
        caller.send("PRACK", 2, "RAck: 1 1 INVITE\r\n")
        assert (await caller.response(200)).cseq.method == "PRACK"
        ok = await caller.response(200)
        assert (ok.cseq.method, ok.body) == ("INVITE", b"")
        caller.send("ACK", 1)
        caller.send("BYE", 3)
        await harness.idle()
        caller.close()
        assert harness.record(CallEnded).reason is EndReason.CALLER_HANGUP


class HandWritten:
    """A caller whose messages are written by hand."""

    def __init__(self, server: Address) -> None:
        self.to = f"<{URI}>"
        self._responses: asyncio.Queue[Response] = asyncio.Queue()
        self._server = server
        self._endpoint = UdpEndpoint(("127.0.0.1", 0), self._on_datagram)
        self._endpoint.open()

    def close(self) -> None:
        self._endpoint.close()

    def send(self, method: str, cseq: int, headers: str = "", body: str = "") -> None:
        host, port = self._endpoint.local
        text = (
            f"{method} {URI} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{method}{cseq}\r\n"
            f"From: <sip:a@b>;tag=1\r\nTo: {self.to}\r\nCall-ID: hand\r\nCSeq: {cseq} {method}\r\nContact: <sip:a@{host}:{port}>\r\n"
            f"{headers}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        data = text.encode()
        self._endpoint.send(sealed(data, node=self._server, wall=time.time()) if method == "INVITE" else data, self._server)

    async def response(self, status: int) -> Response:
        """Return the next response of a status."""
        async with asyncio.timeout(10):
            while (response := await self._responses.get()).status != status:
                pass
        return response

    def _on_datagram(self, data: bytes, _: Address) -> None:
        message = parse_message(data)
        if isinstance(message, Response):
            self._responses.put_nowait(message)


def send_info(harness: CallflowHarness, body: str) -> None:
    """Send an INFO in the phone's one dialog; our own phone has no such command."""
    agent = harness.phone._sip_endpoint.agent
    (sip,) = agent._calls.values()
    assert sip.dialog is not None
    headers = [("Content-Type", "application/dtmf-relay")]
    agent._context.send_in_dialog(sip.number, sip.dialog, "INFO", time.monotonic(), headers=headers, body=body.encode())
    harness.phone._sip_endpoint.pump()
