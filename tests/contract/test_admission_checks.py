"""Admission checks: whether a call would be admitted, by the proxy's own rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.support.api import ApiCustomer
from tests.unit.voiceapps.builders import ACTOR, ended, facts
from voiceapps.daemon.admission_reads import admission_snapshots
from voiceapps.models import Account, AuditEntry, Call, RefusedAttempt, VoiceApplication
from voiceapps.rules.admission import CallCount, DigestState, Reason, RequestFacts, decide
from voiceapps.rules.limits import Usage, apply_limits
from voiceapps.rules.reports import CallAdmitted
from voiceapps.services import accounts
from voiceapps.services.reports import write_reports

SIP = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True}
RULES = [
    *("host", "source_rate", "same_application", "application", "enabled", "source_ip", "region", "digest"),
    *("application_calls", "account_calls", "application_rate", "account_rate"),
]


def ask(customer: ApiCustomer, application_id: str, **body: object) -> Any:
    return customer.request("POST", f"{customer.base}/{application_id}/admission-checks", {"sourceIp": "203.0.113.9"} | body)


def check(customer: ApiCustomer, application_id: str, **body: object) -> dict[str, Any]:
    answer = ask(customer, application_id, **body)
    assert answer.status_code == 200, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def errors_of(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400
    return {error["source"]["field"]: error["description"] for error in answer.json()["errors"]}


def test_a_good_call_is_admitted_with_the_full_trace(customer: ApiCustomer) -> None:
    application_id = customer.create(**SIP)["applicationId"]
    data = check(customer, application_id)
    assert (data["outcome"], data["sipStatus"], data["reason"]) == ("admit", None, None)
    assert [result["rule"] for result in data["trace"]] == RULES
    assert {result["verdict"] for result in data["trace"]} == {"passed", "skipped"}
    assert data["trace"][0].keys() == {"rule", "verdict", "expected", "seen"}


@pytest.mark.parametrize(
    ("settings", "body", "expected"),
    [
        ({}, {}, ("refuse", 401, "disabled")),
        (SIP, {"digest": "absent"}, ("challenge", 407, None)),
        (SIP, {"digest": "stale"}, ("challenge", 407, None)),
        (SIP, {"digest": "wrong"}, ("refuse", 401, "digest_wrong")),
        (SIP, {"digest": "other_user"}, ("refuse", 403, "digest_user_mismatch")),
        (SIP | {"allowedSourceIps": ["198.51.100.0/24"]}, {}, ("refuse", 401, "ip_not_allowed")),
        (SIP | {"allowedSourceIps": ["203.0.113.0/24"]}, {}, ("admit", None, None)),
        (SIP | {"allowedRegions": ["EU"]}, {"country": "US"}, ("refuse", 401, "region_not_allowed")),
        (SIP | {"allowedRegions": ["EU"]}, {"country": None}, ("refuse", 401, "region_not_allowed")),
        (SIP | {"allowedRegions": ["EU"]}, {"country": "DE"}, ("admit", None, None)),
        ({"inboundSipCallsEnabled": True, "allowedSourceIps": ["0.0.0.0/0"]}, {"digest": "absent"}, ("admit", None, None)),
    ],
)
def test_the_outcome_follows_from_settings_and_call(
    customer: ApiCustomer, settings: dict[str, object], body: dict[str, object], expected: tuple[str, int | None, str | None]
) -> None:
    application_id = customer.create(**settings)["applicationId"]
    data = check(customer, application_id, **body)
    assert (data["outcome"], data["sipStatus"], data["reason"]) == expected


@pytest.mark.parametrize("digest", list(DigestState))
@pytest.mark.parametrize("source_ip", ["203.0.113.9", "8.8.8.8"])
@pytest.mark.parametrize("country", [None, "US", "DE"])
def test_the_answer_is_the_decision_of_the_proxys_own_function(
    customer: ApiCustomer, digest: DigestState, source_ip: str, country: str | None
) -> None:
    made = customer.create(**SIP, allowedSourceIps=["203.0.113.0/24"], allowedRegions=["US"], maxConcurrentCalls=1)
    application_id = made["applicationId"]
    user = made["sipUri"].removeprefix("sip:").partition("@")[0]
    snapshot = admission_snapshots([user], asking=None)[user]
    asked = RequestFacts("sip-uri.localhost", True, user, user, source_ip, country, digest, False)
    wanted = decide(asked, request_application=snapshot, to_application=snapshot)
    wanted = apply_limits(wanted, snapshot, Usage(CallCount(), CallCount()))
    data = check(customer, application_id, digest=digest.value, sourceIp=source_ip, country=country)
    assert (data["outcome"], data["sipStatus"] or 0, data["reason"]) == (wanted.outcome.value, wanted.status, wanted.reason)
    assert [(result["rule"], result["verdict"], result["seen"]) for result in data["trace"]] == [
        (result.rule, result.verdict, result.seen) for result in wanted.trace
    ]


def test_the_country_is_looked_up_as_the_proxy_does(customer: ApiCustomer) -> None:
    application_id = customer.create(**SIP)["applicationId"]
    assert check(customer, application_id, sourceIp="8.8.8.8")["country"] == "US"
    assert check(customer, application_id, sourceIp="8.8.8.8", country="DE")["country"] == "DE"
    assert check(customer, application_id, sourceIp="192.168.0.1")["country"] is None


def test_limits_are_checked_against_the_database(customer: ApiCustomer) -> None:
    row = VoiceApplication.objects.get(pk=customer.create(**SIP, maxConcurrentCalls=2)["applicationId"])
    live = [facts(row, number) for number in (1, 2)]
    write_reports([*(CallAdmitted(call, "sipproxy-a") for call in live), CallAdmitted(facts(row, 3), "sipproxy-b"), ended(facts(row, 3))])
    data = check(customer, str(row.pk))
    assert (data["outcome"], data["sipStatus"], data["reason"]) == ("refuse", 480, Reason.CAPACITY)
    failed = [result for result in data["trace"] if result["verdict"] == "failed"]
    assert failed == [
        {"rule": "application_calls", "verdict": "failed", "expected": "at most 2 concurrent calls", "seen": "2 are up"},
    ]
    write_reports([ended(live[0])])
    assert check(customer, str(row.pk))["outcome"] == "admit"


def test_rates_are_checked_against_the_calls_of_the_last_second(customer: ApiCustomer) -> None:
    row = VoiceApplication.objects.get(pk=customer.create(**SIP)["applicationId"])
    account = Account.objects.get(pk=row.account_id)
    accounts.set_limits(account, max_calls=None, max_calls_per_second=1, max_applications=None, actor=ACTOR)
    write_reports([CallAdmitted(facts(row), "sipproxy-a")])
    assert check(customer, str(row.pk))["outcome"] == "admit"
    # The calls start in the future, so that the second cannot pass while the test runs.
    Call.objects.update(started_at=timezone.now() + timedelta(minutes=1))
    assert check(customer, str(row.pk))["reason"] == Reason.RATE_LIMITED


def test_nothing_is_changed(customer: ApiCustomer) -> None:
    application_id = customer.create(**SIP)["applicationId"]
    before = AuditEntry.objects.count()
    check(customer, application_id, digest="wrong")
    assert (RefusedAttempt.objects.count(), Call.objects.count(), AuditEntry.objects.count()) == (0, 0, before)
    assert VoiceApplication.objects.get().version == 1


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ({"sourceIp": "::1"}, "sourceIp", "IPv6 is not supported."),
        ({"sourceIp": "203.0.113.09"}, "sourceIp", "Leading zeros"),
        ({"sourceIp": "203.0.113.9/32"}, "sourceIp", "no prefix length"),
        ({"sourceIp": "pbx.example.com"}, "sourceIp", "Not an IPv4 address"),
        ({"sourceIp": 3405803785}, "sourceIp", "Must be a string."),
        ({"sourceIp": None}, "sourceIp", "null"),
        ({"country": "us"}, "country", "capitals"),
        ({"country": "EU"}, "country", "ISO 3166"),
        ({"country": ""}, "country", "blank"),
        ({"digest": "good"}, "digest", "not a valid choice"),
        ({"digest": None}, "digest", "null"),
        ({"colour": "blue"}, "colour", "No such field."),
    ],
)
def test_a_bad_field_says_which_rule_it_breaks(customer: ApiCustomer, body: dict[str, object], field: str, rule: str) -> None:
    application_id = customer.create(**SIP)["applicationId"]
    errors = errors_of(ask(customer, application_id, **body))
    assert errors.keys() == {field}
    assert rule in errors[field]


def test_an_address_is_required(customer: ApiCustomer) -> None:
    application_id = customer.create(**SIP)["applicationId"]
    answer = customer.request("POST", f"{customer.base}/{application_id}/admission-checks", {})
    assert errors_of(answer).keys() == {"sourceIp"}


def test_it_needs_the_read_scope_and_an_own_application(customer: ApiCustomer, stranger: ApiCustomer) -> None:
    application_id = customer.create(**SIP)["applicationId"]
    assert ask(stranger, application_id).status_code == 404
    customer._token = customer.ask_token(scope="voice-applications:read").json()["access_token"]
    assert ask(customer, application_id).status_code == 200
    customer._token = customer.ask_token(scope="voice-applications:write").json()["access_token"]
    assert ask(customer, application_id).status_code == 403


def test_a_check_costs_few_queries(customer: ApiCustomer, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    application_id = customer.create(**SIP, maxConcurrentCalls=1, maxCallsPerSecond=1)["applicationId"]
    check(customer, application_id)
    with django_assert_max_num_queries(10):
        check(customer, application_id)
