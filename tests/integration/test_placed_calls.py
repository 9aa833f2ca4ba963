"""Calls that the worker places by our own phone: through the real proxy and relay, heard and told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, until

ORDER = """
from voiceapps.models import VoiceApplication
from voiceapps.rules.trials.placed_call import Dialling
from voiceapps.services.audit import Actor
from voiceapps.services.trials import placed_calls
row = placed_calls.order(VoiceApplication.objects.get(pk={application!r}), Dialling({digits!r}, {seconds}), actor=Actor("test"))
placed_calls.announcer.flush()
result = str(row.pk)"""
READ = """
import json
from voiceapps.models import Call, PlacedCall
row = PlacedCall.objects.get(pk={number!r})
found = Call.objects.filter(sip_call_id=row.sip_call_id).values_list("call_id", flat=True)
result = row.state == "ended" and json.loads(row.outcome) | {{"octets": len(row.heard), "records": list(found)}}"""
MENU = '<Response><Gather gatherUrl="/chosen" maxDigits="2"><SpeakSentence>Press two digits</SpeakSentence></Gather></Response>'


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    fleet = make_fleet()
    fleet.start()
    return fleet


def place(fleet: Fleet, application: Application, *digits: str, seconds: int = 20) -> dict[str, Any]:
    number = fleet.python(ORDER.format(application=application.application_id, digits=digits, seconds=seconds))
    told: dict[str, Any] = until(lambda: fleet.python(READ.format(number=number)), seconds=40, what="the call has ended", every=0.3)
    return told


def test_a_caller_is_heard_and_refused_as_any_other(fleet: Fleet, backend: TestBackend) -> None:
    backend.documents |= {"/start": MENU, "/chosen": "<Response><SpeakSentence>Thank you</SpeakSentence></Response>"}
    application = fleet.application(callback=f"{backend.url}/start")
    told = place(fleet, application, "42")
    assert (told["status"], told["ended_by"], told["problem"]) == (200, "remote", None)
    assert told["proxy"] == "{}:{}".format(*fleet.sip)
    assert told["octets"] > 8_000
    assert told["first_sound"] is not None
    assert told["lines"][0]["text"].startswith(f"INVITE {application.sip_uri} SIP/2.0")
    assert len(told["records"]) == 1
    assert [event["digits"] for event in backend.events if event["eventType"] == "gather"] == ["42"]

    stays = place(fleet, application, seconds=1)
    assert (stays["ended_by"], stays["problem"]) == ("local", None)
    assert stays["lasted"] >= 0.9

    strict = fleet.application(callback=f"{backend.url}/start", allowedSourceIps=["198.51.100.0/24"])
    refused = place(fleet, strict)
    assert (refused["status"], refused["answered_after"], refused["records"]) == (401, None, [])


def test_without_a_proxy_the_addresses_are_named(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet("web", "worker")
    fleet.start()
    told = place(fleet, fleet.application())
    assert told["problem"] == f"No SIP proxy answered at {fleet.sip[0]}:{fleet.sip[1]}. Is one running, and can this host reach it by UDP?"
