from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.api import ApiCustomer
from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import STARTED
from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.reports import RefusalSeen
from voiceapps.services.reports import write_reports

TRACE = (
    RuleResult("host", "passed", "a name or address of this service", "sip-uri.localhost"),
    RuleResult("source_ip", "failed", "203.0.113.0/24", "198.51.100.1"),
)


def refusal(application_id: str | None, number: int = 0, **changes: Any) -> RefusalSeen:
    """Return a burst. Each number is five minutes later, so that none joins another."""
    at = STARTED + 300 * number
    seen = RefusalSeen(application_id, "198.51.100.1", Reason.IP_NOT_ALLOWED, 401, 3, at, at + 1, "US", "user", "call@pbx", "PBX 1", TRACE)
    return replace(seen, **changes)


def listed(customer: ApiCustomer, application_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = customer.request("GET", f"{customer.base}/{application_id}/refused-attempts{query}")
    assert answer.status_code == 200, answer.content
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


@pytest.fixture
def application_id(customer: ApiCustomer) -> str:
    made: str = customer.create()["applicationId"]
    return made


def test_an_attempt_has_every_field(customer: ApiCustomer, application_id: str) -> None:
    write_reports([refusal(application_id)])
    (entry,) = listed(customer, application_id)
    assert isinstance(entry.pop("id"), int)
    assert entry == {
        "reason": "ip_not_allowed",
        "sipStatus": 401,
        "count": 3,
        "firstTime": "2023-11-14T22:13:20.250Z",
        "lastTime": "2023-11-14T22:13:21.250Z",
        "sourceIp": "198.51.100.1",
        "country": "US",
        "requestUser": "user",
        "sipCallId": "call@pbx",
        "userAgent": "PBX 1",
        "trace": [
            {"rule": "host", "verdict": "passed", "expected": "a name or address of this service", "seen": "sip-uri.localhost"},
            {"rule": "source_ip", "verdict": "failed", "expected": "203.0.113.0/24", "seen": "198.51.100.1"},
        ],
    }


def test_an_unknown_country_is_null(customer: ApiCustomer, application_id: str) -> None:
    write_reports([refusal(application_id, country=None)])
    assert listed(customer, application_id)[0]["country"] is None


def test_an_entry_about_many_sources_names_none(customer: ApiCustomer, application_id: str) -> None:
    write_reports([refusal(application_id, source_ip="", count=14_900)])
    (entry,) = listed(customer, application_id)
    assert (entry["sourceIp"], entry["country"], entry["count"]) == (None, None, 14_900)


def test_pages_go_from_the_newest_back_and_miss_nothing(customer: ApiCustomer, application_id: str) -> None:
    write_reports([refusal(application_id, number) for number in range(5)])
    write_reports([refusal(application_id, 4, source_ip="198.51.100.2")])
    path: str | None = f"{customer.base}/{application_id}/refused-attempts?limit=4"
    times, ids = [], set()
    while path:
        body = customer.request("GET", path).json()
        times += [entry["lastTime"] for entry in body["data"]]
        ids |= {entry["id"] for entry in body["data"]}
        path = next((link["href"].removeprefix("http://testserver") for link in body["links"] if link["rel"] == "next"), None)
    assert (len(times), len(ids)) == (6, 6)
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?reason=capacity", [2]),
        ("?sourceIp=198.51.100.7", [1]),
        ("?startTime=2023-11-14T22:18:21.250Z", [2, 1]),
        ("?endTime=2023-11-14T22:18:21.250Z", [0]),
        ("?startTime=2023-11-14T22:18:21.250%2B00:00&endTime=2023-11-14T22:23:21.250Z", [1]),
        ("?startTime=2023-11-14T23:18:21.250%2B01:00", [2, 1]),
        ("?reason=disabled", []),
    ],
)
def test_filters_narrow_the_list(customer: ApiCustomer, application_id: str, query: str, numbers: list[int]) -> None:
    changes: list[dict[str, Any]] = [{}, {"source_ip": "198.51.100.7"}, {"reason": Reason.CAPACITY, "status": 503}]
    write_reports([refusal(application_id, number, sip_call_id=str(number), **change) for number, change in enumerate(changes)])
    assert [int(entry["sipCallId"]) for entry in listed(customer, application_id, query)] == numbers


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("?reason=bored", "reason"),
        ("?sourceIp=::1", "sourceIp"),
        ("?startTime=yesterday", "startTime"),
        ("?endTime=0001-01-01T00:00:00%2B14:00", "endTime"),
        ("?limit=0", "limit"),
        ("?afterCursor=WzEsMl0", "afterCursor"),  # [1,2]
        ("?afterCursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwxXQ", "afterCursor"),  # a time before all times
        ("?colour=blue", "colour"),
    ],
)
def test_a_bad_parameter_is_named(customer: ApiCustomer, application_id: str, query: str, parameter: str) -> None:
    answer = customer.request("GET", f"{customer.base}/{application_id}/refused-attempts{query}")
    assert answer.status_code == 400
    assert [error["source"] for error in answer.json()["errors"]] == [{"parameter": parameter}]


def test_only_attempts_at_ones_own_applications_are_shown(customer: ApiCustomer, stranger: ApiCustomer, application_id: str) -> None:
    theirs = stranger.create()["applicationId"]
    write_reports([refusal(application_id), refusal(theirs), refusal(None)])
    assert len(listed(customer, application_id)) == 1
    assert stranger.request("GET", f"{stranger.base}/{application_id}/refused-attempts").status_code == 404
    assert stranger.request("GET", f"{customer.base}/{application_id}/refused-attempts").status_code == 403


def test_a_page_uses_its_index(customer: ApiCustomer, application_id: str) -> None:
    write_reports([refusal(application_id, number) for number in range(3)])
    first = customer.request("GET", f"{customer.base}/{application_id}/refused-attempts?limit=1").json()
    path = next(link["href"] for link in first["links"] if link["rel"] == "next").removeprefix("http://testserver")
    with query_plans() as plans:
        customer.request("GET", path)
    assert plans[-1].startswith("SEARCH voiceapps_refusedattempt USING INDEX refusal_page (application_id=? AND last_at<")
    assert "TEMP B-TREE" not in plans[-1]
