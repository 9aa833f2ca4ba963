"""200 whole calls at 5 a second: none fails, and nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.integration.test_peers import fields, sipp
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet

CALLS, RATE = 200, 5
# RFC 3261 keeps a transaction for 32 s; ports rest for 30 s more.
SETTLE_SECONDS = 70
# The second thread of the database executor may have opened its connection only under load: file, write-ahead log, shared memory.
DATABASE_FILES = 3
TALK = "<Response><SpeakSentence>One, two, three, four, five.</SpeakSentence></Response>"
GAUGES = {
    "sipproxy": ("sipuri_sip_transactions", "sipuri_sip_calls"),
    "mediarelay": ("sipuri_relay_sessions", "sipuri_relay_sockets"),
    "callflow": ("sipuri_callflow_calls", "sipuri_callflow_transactions"),
}


@pytest.mark.timeout(300)
def test_200_calls_leave_nothing_behind(make_fleet: Callable[..., Fleet], backend: TestBackend) -> None:
    fleet = make_fleet("web", "worker", "mediarelay", "callflow", "sipproxy")
    fleet.start()
    backend.documents["/initiate"] = TALK
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    sipp(fleet, "digest_call_hung_up", fields=fields(application), calls=1)
    idle = {role: fleet.gauge(role, "process_open_fds") for role in GAUGES}

    sipp(fleet, "digest_call_hung_up", "-timeout", "120", fields=fields(application), calls=CALLS, rate=RATE)
    ends = backend.wait("disconnect", CALLS + 1, seconds=60)
    assert {event["cause"] for event in ends} == {"hangup"}
    assert len({event["callId"] for event in ends}) == CALLS + 1

    def left() -> dict[str, float]:
        gauges = {name: fleet.gauge(role, name) for role, names in GAUGES.items() for name in names}
        descriptors = {f"{role} descriptors": fleet.gauge(role, "process_open_fds") - idle[role] - DATABASE_FILES for role in GAUGES}
        return {name: value for name, value in (gauges | descriptors).items() if value > 0}

    deadline = time.monotonic() + SETTLE_SECONDS
    while rest := left():
        assert time.monotonic() < deadline, rest
        time.sleep(1)
    code = """
from voiceapps.models import Call, WebhookDelivery
result = [list(Call.objects.values_list("end_class", flat=True).order_by().distinct()), Call.objects.count(),
          WebhookDelivery.objects.filter(event_type="disconnect").count()]"""
    assert fleet.python(code) == [["success"], CALLS + 1, CALLS + 1]
