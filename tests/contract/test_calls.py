"""Call control's calls: states, filters, pages, and errors in the shape of Programmable Voice."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from bandwidth.models import CallState
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.api import ApiCustomer
from tests.support.calls import STARTED, end, place
from voiceapps.models import Call, CallVerdict
from voiceapps.rules.endings import EndReason


def base(customer: ApiCustomer) -> str:
    return f"/api/v2/accounts/{customer.account_id}/calls"


def listed(customer: ApiCustomer, query: str = "") -> list[str]:
    answer = customer.request("GET", base(customer) + query)
    assert answer.status_code == 200, answer.content
    return [call["callId"] for call in answer.json()]


def test_a_ringing_call_has_explicit_nulls(customer: ApiCustomer) -> None:
    application_id = customer.create()["applicationId"]
    call = place(customer.account_id, application_id=application_id)
    state = customer.request("GET", f"{base(customer)}/{call.call_id}").json()
    assert state == {
        "applicationId": application_id,
        "accountId": customer.account_id,
        "callId": call.call_id,
        "parentCallId": None,
        "to": call.to_uri,
        "from": call.from_uri,
        "direction": "inbound",
        "state": "initiated",
        "stirShaken": None,
        "identity": None,
        "enqueuedTime": None,
        "startTime": "2023-11-14T22:13:20.250Z",
        "answerTime": None,
        "endTime": None,
        "disconnectCause": None,
        "errorMessage": None,
        "errorId": None,
        "lastUpdate": "2023-11-14T22:13:20.250Z",
    }
    assert CallState.from_dict(state).additional_properties == {}


def test_a_call_that_failed_says_when_and_why(customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    end(call, EndReason.INVALID_BXML, "Line 2: <Dance> is not a verb.")
    state = customer.request("GET", f"{base(customer)}/{call.call_id}").json()
    assert (state["state"], state["disconnectCause"]) == ("disconnected", "invalid-bxml")
    assert state["errorMessage"] == "Line 2: <Dance> is not a verb."
    assert len(state["errorId"]) == 36
    assert (state["answerTime"], state["endTime"]) == ("2023-11-14T22:13:22.250Z", "2023-11-14T22:13:30.250Z")
    assert state["lastUpdate"] == state["endTime"]
    assert state["applicationId"] is None


def test_the_verdict_is_shown_where_it_is_asked_for(customer: ApiCustomer) -> None:
    up, failed, old = (place(customer.account_id, number) for number in (1, 2, 3))
    end(failed, EndReason.MEDIA_TIMEOUT)
    end(old)
    CallVerdict.objects.filter(pk=old.call_id).delete()
    assert customer.token
    with CaptureQueriesContext(connection) as plain:
        listed(customer)
    with CaptureQueriesContext(connection) as included:
        calls = customer.request("GET", f"{base(customer)}?include=verdict").json()
    assert [call["verdict"] for call in calls] == ["going_on", "media_lost", None]
    assert len(included) == len(plain)
    shown = {call.call_id: customer.request("GET", f"{base(customer)}/{call.call_id}?include=verdict").json() for call in (up, failed)}
    assert (shown[up.call_id]["verdict"], shown[failed.call_id]["verdict"]) == ("going_on", "media_lost")
    assert "verdict" not in customer.request("GET", f"{base(customer)}/{failed.call_id}").json()
    error = flat(customer.request("GET", f"{base(customer)}/{failed.call_id}?include=secrets"), 400)
    assert error["description"].startswith("Invalid include: ")


@pytest.mark.parametrize("reason", list(EndReason))
def test_every_end_has_its_cause(customer: ApiCustomer, reason: EndReason) -> None:
    call = place(customer.account_id)
    end(call, reason)
    assert customer.request("GET", base(customer)).json()[0]["disconnectCause"] == reason.cause
    assert listed(customer, f"?disconnectCause={reason.cause}") == [call.call_id]


def test_filters(customer: ApiCustomer) -> None:
    first, second = place(customer.account_id, 1), place(customer.account_id, 2, at=STARTED + 60)
    end(second)
    # The second call's start has microseconds that are not shown. The time that is shown must find it all the same.
    Call.objects.filter(pk=second.call_id).update(started_at=Call.objects.get(pk=second.call_id).started_at.replace(microsecond=250_400))
    wanted = {
        "to=sip%3Acallee-1%40sip-uri.localhost": [first.call_id],
        "from=sip%3Acaller-2%40example.com": [second.call_id],
        "minStartTime=2023-11-14T22%3A14%3A20.250Z": [second.call_id],
        "maxStartTime=2023-11-14T22%3A13%3A20.250Z": [first.call_id],
        "maxStartTime=2023-11-14T22%3A14%3A20.250Z": [first.call_id, second.call_id],
        "disconnectCause=hangup": [second.call_id],
        "disconnectCause=boredom": [],
        "maxStartTime=9999-12-31T23:59:59.9999Z": [first.call_id, second.call_id],
    }
    assert {query: listed(customer, f"?{query}") for query in wanted} == wanted


def test_pages_are_linked_oldest_first(customer: ApiCustomer) -> None:
    calls = [place(customer.account_id, number, at=STARTED + number // 2).call_id for number in range(5)]
    shown: list[str] = []
    path = f"{base(customer)}?pageSize=2&minStartTime=2023-11-14T22%3A13%3A20Z"
    while path:
        answer = customer.request("GET", path)
        shown += [call["callId"] for call in answer.json()]
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.get("Link", ""))
        path = "{0.path}?{0.query}".format(urlsplit(link[1])) if link else ""
    assert shown == calls


@pytest.mark.parametrize(
    "query", ["pageSize=0", "pageSize=10001", "pageSize=x", "pageToken=x", "minStartTime=soon", "colour=blue", "to=%00"]
)
def test_a_bad_parameter_is_a_flat_error_by_its_name(customer: ApiCustomer, query: str) -> None:
    answer = customer.request("GET", f"{base(customer)}?{query}")
    assert answer.status_code == 400
    error = answer.json()
    assert error.keys() == {"type", "description", "id"}
    assert error["type"] == "validation"
    assert error["description"].startswith(f"Invalid {query.partition('=')[0]}: ")


def test_a_longer_list_costs_no_more_queries(customer: ApiCustomer) -> None:
    assert customer.token
    counts = []
    for number in (1, 2, 3):
        place(customer.account_id, number)
        with CaptureQueriesContext(connection) as seen:
            assert len(listed(customer)) == number
        counts.append(len(seen))
    assert counts[2] == counts[1]


class TestErrors:
    def test_an_unknown_call_is_404(self, customer: ApiCustomer) -> None:
        error = flat(customer.request("GET", f"{base(customer)}/c-nobody"), 404)
        assert (error["type"], error["description"]) == ("validation", "Call c-nobody not found")

    def test_anothers_call_is_404_and_anothers_account_403(self, customer: ApiCustomer, stranger: ApiCustomer) -> None:
        call = place(customer.account_id)
        flat(stranger.request("GET", f"{base(stranger)}/{call.call_id}"), 404)
        assert listed(stranger) == []
        assert flat(stranger.request("GET", f"{base(customer)}/{call.call_id}"), 403)["type"] == "authorization-error"

    def test_without_a_token_it_is_401(self, customer: ApiCustomer) -> None:
        assert flat(customer.http.get(base(customer)), 401)["type"] == "authentication-error"

    def test_recordings_are_another_scope(self, customer: ApiCustomer) -> None:
        customer._token = customer.ask_token(scope="recordings:read").json()["access_token"]
        assert flat(customer.request("GET", base(customer)), 403)["type"] == "authorization-error"
        assert customer.request("HEAD", base(customer)).status_code == 403

    def test_another_method_is_405_and_another_path_404(self, customer: ApiCustomer) -> None:
        flat(customer.request("DELETE", base(customer)), 405)
        flat(customer.request("GET", f"{base(customer)}/%00"), 404)
        flat(customer.request("GET", f"{base(customer)}/"), 404)


def flat(answer: Any, status: int) -> dict[str, str]:
    assert answer.status_code == status
    error: dict[str, str] = answer.json()
    assert error.keys() == {"type", "description", "id"}
    return error
