from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from tests.support.api import ApiCustomer
from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import STARTED, ended, facts
from voiceapps.models import VoiceApplication
from voiceapps.rules.admission import Reason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallAdmitted, CallAnswered, CallFacts, RefusalSeen
from voiceapps.services.reports import write_reports

DAY = 24 * 3600


@pytest.fixture
def row(customer: ApiCustomer) -> VoiceApplication:
    sip = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True, "maxConcurrentCalls": 5}
    return VoiceApplication.objects.get(pk=customer.create(**sip)["applicationId"])


def status(customer: ApiCustomer, row: VoiceApplication) -> dict[str, Any]:
    answer = customer.request("GET", f"{customer.base}/{row.pk}/sip-status")
    assert answer.status_code == 200, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def call(row: VoiceApplication, number: int, *, ago: float) -> CallFacts:
    return replace(facts(row, number), started_at=time.time() - ago)


def refusal(row: VoiceApplication, reason: Reason, *, count: int, ago: float) -> RefusalSeen:
    at = time.time() - ago
    return RefusalSeen(str(row.pk), "198.51.100.1", reason, 401, count, at, at, "US", "user", "call", "agent", ())


def test_an_application_without_calls(customer: ApiCustomer) -> None:
    row = VoiceApplication.objects.get(pk=customer.create()["applicationId"])
    assert status(customer, row) == {
        "inboundSipCallsEnabled": False,
        "liveCalls": 0,
        "maxConcurrentCalls": None,
        "lastCall": None,
        "last24Hours": {"calls": 0, "answeredCalls": 0, "refusedAttempts": 0, "refusalsByReason": {}},
    }


def test_calls_and_refusals_of_a_day(customer: ApiCustomer, row: VoiceApplication) -> None:
    over, live, ringing, long_ago = call(row, 1, ago=300), call(row, 2, ago=200), call(row, 3, ago=100), call(row, 4, ago=DAY + 60)
    write_reports([CallAdmitted(one, "p") for one in (over, live, ringing, long_ago)])
    write_reports([ended(over, at=over.started_at + 9, answered_at=over.started_at + 1), CallAnswered(live, "c", live.started_at + 1)])
    write_reports([refusal(row, Reason.DIGEST_WRONG, count=4, ago=50), refusal(row, Reason.CAPACITY, count=1, ago=50)])
    write_reports([refusal(row, Reason.DIGEST_WRONG, count=2, ago=5_000), refusal(row, Reason.DISABLED, count=9, ago=DAY + 60)])
    data = status(customer, row)
    assert (data["inboundSipCallsEnabled"], data["liveCalls"], data["maxConcurrentCalls"]) == (True, 3, 5)
    assert data["lastCall"]["callId"] == ringing.call_id
    assert data["last24Hours"] == {
        "calls": 3,
        "answeredCalls": 2,
        "refusedAttempts": 7,
        "refusalsByReason": {"digest_wrong": 6, "capacity": 1},
    }


def test_the_last_call_is_shown_with_its_end(customer: ApiCustomer, row: VoiceApplication) -> None:
    write_reports([ended(facts(row), reason=EndReason.APPLICATION_REJECTED, answered_at=None)])
    assert status(customer, row)["lastCall"] == {
        "callId": facts(row).call_id,
        "startTime": "2023-11-14T22:13:20.250Z",
        "answerTime": None,
        "endTime": "2023-11-14T22:13:30.250Z",
        "state": "disconnected",
        "cause": "rejected",
    }
    again = replace(facts(row, 2), started_at=STARTED + 100)
    write_reports([CallAdmitted(again, "p"), CallAnswered(again, "c", STARTED + 102)])
    assert status(customer, row)["lastCall"] == {
        "callId": again.call_id,
        "startTime": "2023-11-14T22:15:00.250Z",
        "answerTime": "2023-11-14T22:15:02.250Z",
        "endTime": None,
        "state": "answered",
        "cause": None,
    }


def test_other_applications_do_not_count(customer: ApiCustomer, row: VoiceApplication) -> None:
    other = VoiceApplication.objects.get(pk=customer.create()["applicationId"])
    write_reports([CallAdmitted(call(other, 1, ago=1), "p"), refusal(other, Reason.DISABLED, count=1, ago=1)])
    assert status(customer, row)["lastCall"] is None
    assert status(customer, row)["last24Hours"]["refusedAttempts"] == 0


def test_the_status_of_anothers_application_is_not_found(stranger: ApiCustomer, row: VoiceApplication) -> None:
    assert stranger.request("GET", f"{stranger.base}/{row.pk}/sip-status").status_code == 404


def test_four_queries_by_index_whatever_the_volume(customer: ApiCustomer, row: VoiceApplication) -> None:
    write_reports([CallAdmitted(call(row, 1, ago=1), "p")])
    with query_plans() as plans:
        status(customer, row)
    about = [plan for plan in plans if "voiceapps_call " in plan or "voiceapps_refusedattempt" in plan or "application_id=?" in plan]
    assert about[-3:] == [
        "SEARCH voiceapps_call USING INDEX call_of_application (application_id=?); SCALAR SUBQUERY 1; "
        "SEARCH U0 USING INDEX open_call (account_id=? AND application_id=?)",
        "SEARCH voiceapps_call USING INDEX call_of_application (application_id=? AND started_at>?)",
        "SEARCH voiceapps_refusedattempt USING INDEX refusal_page (application_id=? AND last_at>?); USE TEMP B-TREE FOR GROUP BY",
    ]
    assert len(about) == 4, about
