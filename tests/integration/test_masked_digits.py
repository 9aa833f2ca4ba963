"""Digits that an application wants nowhere: they reach its backend, and no file of the system."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from callflow.aio.phone import Phone
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until

PIN = "904172638415"
RECORDED = """
from voiceapps.models import CallEvent, WebhookDelivery
gathers = WebhookDelivery.objects.filter(event_type="gather")
infos = CallEvent.objects.filter(first_line__startswith="INFO")
result = {"bodies": list(gathers.values_list("body", flat=True)), "infos": list(infos.values_list("text", flat=True))}"""


async def press(phone: Phone, digits: str) -> None:
    """Send digits by INFO, which our phone has no command for."""
    agent = phone._sip_endpoint.agent
    (sip,) = agent._calls.values()
    assert sip.dialog is not None
    headers = [("Content-Type", "application/dtmf-relay")]
    for digit in digits:
        body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        agent._context.send_in_dialog(sip.number, sip.dialog, "INFO", time.monotonic(), headers=headers, body=body)
        phone._sip_endpoint.pump()


async def call(fleet: Fleet, backend: TestBackend, *, masks: bool) -> None:
    application = fleet.application(
        callback=f"{backend.url}/initiate", status=f"{backend.url}/status", passwordAuthEnabled=True, maskDigits=masks
    )
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    try:
        placed = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
        await press(phone, f"{PIN}#")
        assert await placed.wait_ended(20) == "remote"
    finally:
        await phone.close()


def files_with(fleet: Fleet, text: str) -> list[str]:
    return [path.name for path in fleet.state.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


async def test_masked_digits_reach_the_backend_and_no_file(make_fleet: Callable[..., Fleet], backend: TestBackend) -> None:
    fleet = make_fleet(SIPURI_LOG_LEVEL="debug")
    fleet.start()
    backend.documents |= {
        "/initiate": "<Response><Gather gatherUrl='/gather' terminatingDigits='#' firstDigitTimeout='20'/></Response>",
        "/gather": "<Response><Hangup/></Response>",
    }
    await call(fleet, backend, masks=True)
    assert [(event["digits"], event["terminatingDigit"]) for event in backend.of("gather")] == [(PIN, "#")]
    backend.wait("disconnect")
    found = until(lambda: _recorded(fleet, infos=2 * (len(PIN) + 1)), seconds=20, what="the call's records")
    (body,) = found["bodies"]
    assert (body["digits"], body["terminatingDigit"]) == ("*" * len(PIN), "*")
    assert not [text for text in found["infos"] if "Signal" in text]
    assert files_with(fleet, PIN) == []
    # The same without the setting: what was looked for above would have been found.
    await call(fleet, backend, masks=False)
    shown = until(lambda: _recorded(fleet, infos=4 * (len(PIN) + 1)), seconds=20, what="the second call's records")
    assert sum("Signal=9" in text for text in shown["infos"]) == 2
    assert files_with(fleet, PIN) != []


def _recorded(fleet: Fleet, *, infos: int) -> dict[str, Any] | None:
    found: dict[str, Any] = fleet.python(RECORDED)
    return found if len(found["infos"]) >= infos and found["bodies"] else None
