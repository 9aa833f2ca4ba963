"""The page of refused attempts: grouped, explained, with what one click can do about them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.models import AuditEntry, Ban, RefusedAttempt, VoiceApplication
from voiceapps.reads import refusal_report
from voiceapps.reads.refusal_report import Wanted, refusals
from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.diagnosis.refusals import EXPLANATIONS, Refused, text_for_customer
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.reports import RefusalSeen
from voiceapps.services import applications
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

EVIL = '<script>document.title="owned"</script>\u202e'
TRACE = (RuleResult("host", "passed", "ours", "ours"), RuleResult("source_ip", "failed", "203.0.113.0/24", "198.51.100.7"))


def seen(row: VoiceApplication | None, minutes_ago: float = 1.0, **changes: object) -> RefusalSeen:
    at = time.time() - 60 * minutes_ago
    told = RefusalSeen(
        str(row.pk) if row else None, "198.51.100.7", Reason.IP_NOT_ALLOWED, 401, 1, at, at, "DE", "user", "call@pbx", EVIL, TRACE
    )
    return replace(told, **changes)  # type: ignore[arg-type]  # the names are those of its fields


@pytest.fixture
def row() -> VoiceApplication:
    made = application()
    sip = InboundSipPatch(enabled=True, password_auth=True, source_ips=("203.0.113.0/24",))
    return applications.update(made, {}, sip, actor=ACTOR).application


def page(client: Client, **query: str) -> str:
    answer = client.get(reverse("console:refused"), query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_attempts_of_one_source_are_one_group_however_many_minutes(admin_client: Client, row: VoiceApplication) -> None:
    write_reports([seen(row, minutes, count=2) for minutes in (1, 5, 9)] + [seen(row, 2, source_ip="198.51.100.8")])
    found = refusals(Wanted(timezone.now() - timedelta(hours=1)))
    assert [(group.source_ip, group.count) for group in found.groups] == [("198.51.100.7", 6), ("198.51.100.8", 1)]
    group = found.groups[0]
    assert timedelta(minutes=7.9) < group.last_at - group.first_at < timedelta(minutes=8.1)
    text = page(admin_client)
    assert "The source address is not on the list" in text
    assert "6 × 401" in text
    assert "203.0.113.0/24" in text
    assert EVIL not in text


def test_the_page_asks_few_questions_however_many_groups(
    admin_client: Client, row: VoiceApplication, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    write_reports([seen(row, source_ip=f"198.51.100.{number}") for number in range(60)])
    page(admin_client)
    with django_assert_num_queries(4):  # session, user, rows, details
        assert "10 more groups" in page(admin_client)


def test_very_many_rows_are_told(admin_client: Client, row: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_report, "MAX_LOOKED_AT", 2)
    write_reports([seen(row, minutes) for minutes in (1, 5, 9)])
    found = refusals(Wanted(timezone.now() - timedelta(hours=1)))
    assert found.groups[0].count == 2
    assert found.back_to is not None
    assert "There are very many" in page(admin_client)


def test_what_no_index_knows_is_looked_at_and_not_for_ever(row: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports([seen(row, 9, reason=Reason.DIGEST_WRONG), *(seen(row, minutes) for minutes in (1, 3, 5))])
    wanted = Wanted(timezone.now() - timedelta(hours=1), application_id=row.pk, reason="digest_wrong")
    assert [group.reason for group in refusals(wanted).groups] == [Reason.DIGEST_WRONG]
    monkeypatch.setattr(refusal_report, "MAX_LOOKED_AT", 3)
    found = refusals(wanted)
    assert (found.groups, found.back_to is None) == ((), False)


def test_an_account_sees_its_own_behind_a_flood_on_another_one(row: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_report, "MAX_LOOKED_AT", 3)
    other = application("9900001")
    write_reports([seen(row, 9), *(seen(other, minutes) for minutes in (1, 3, 5, 7))])
    found = refusals(Wanted(timezone.now() - timedelta(hours=1), account_id=row.account_id))
    assert [group.account_id for group in found.groups] == [row.account_id]
    elsewhere = Wanted(timezone.now() - timedelta(hours=1), account_id=row.account_id, application_id=other.pk)
    assert refusals(elsewhere).groups == ()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 3),
        ({"ip": "198.51.100.8"}, 1),
        ({"reason": "digest_wrong"}, 1),
        ({"since": "1h"}, 2),
        ({"since": "7d"}, 4),
        ({"reason": "nonsense"}, 3),
    ],
)
def test_filters(admin_client: Client, row: VoiceApplication, query: dict[str, str], count: int) -> None:
    write_reports(
        [
            seen(row),
            seen(row, source_ip="198.51.100.8"),
            seen(row, 300, reason=Reason.DIGEST_WRONG),
            seen(None, 4000, reason=Reason.UNKNOWN_APPLICATION),
        ]
    )
    assert page(admin_client, **query).count("data-refusal") == count


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"ip": "1.2.3"}, "Not an IPv4 address"),
        ({"ip": "2001:db8::1"}, "IPv6 is not supported"),
        ({"reason": "nonsense"}, "no such reason"),
        ({"since": "1y"}, "Choose one of 1h, 24h, 7d."),
        ({"app": "x"}, "an application&#x27;s id"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named_and_kept(admin_client: Client, query: dict[str, str], says: str) -> None:
    text = page(admin_client, **query)
    assert re.search(rf'name="{next(iter(query))}"[^>]*aria-invalid="true"', text)
    assert says in text
    if "ip" in query:
        assert f'value="{query["ip"]}"' in text


def test_allowing_an_address_adds_it_to_the_list(admin_client: Client, row: VoiceApplication) -> None:
    form = {"app": str(row.pk), "ip": "198.51.100.7", "version": str(row.version), "back": "since=1h&evil=1"}
    answer = admin_client.post(reverse("console:refused_allow"), form)
    assert answer["Location"] == reverse("console:refused") + "?since=1h"
    row.refresh_from_db()
    assert row.allowed_source_ips == ["203.0.113.0/24", "198.51.100.7/32"]
    entry = AuditEntry.objects.filter(action="application.update").latest("number")
    assert (entry.actor, list(entry.changes)) == ("operator admin", ["source_ips"])


def test_allowing_is_refused_where_the_list_has_changed(admin_client: Client, row: VoiceApplication) -> None:
    applications.update(row, {"name": "Other"}, InboundSipPatch(), actor=ACTOR)
    form = {"app": str(row.pk), "ip": "198.51.100.7", "version": str(row.version)}
    answer = admin_client.post(reverse("console:refused_allow"), form, follow=True)
    assert "has changed meanwhile" in answer.content.decode()
    row.refresh_from_db()
    assert row.allowed_source_ips == ["203.0.113.0/24"]


@pytest.mark.parametrize("address", ["10.0.0.7", "1.2.3", "", "198.51.100.7/32"])
def test_an_address_that_no_list_takes_is_named(admin_client: Client, row: VoiceApplication, address: str) -> None:
    form = {"app": str(row.pk), "ip": address, "version": str(row.version)}
    answer = admin_client.post(reverse("console:refused_allow"), form, follow=True)
    assert "allowedSourceIps" in answer.content.decode()


def test_only_a_refused_address_can_be_allowed(admin_client: Client, row: VoiceApplication) -> None:
    write_reports([seen(row, reason=Reason.DIGEST_WRONG), seen(row, source_ip="")])
    text = page(admin_client)
    assert "Allow" not in text
    assert "many further sources" in text


def test_a_source_is_banned(admin_client: Client) -> None:
    admin_client.post(reverse("console:refused_ban"), {"ip": "198.51.100.7"})
    ban = Ban.objects.get()
    assert ban.source_ip == "198.51.100.7"
    assert timedelta(minutes=59) < ban.expires_at - timezone.now() <= timedelta(minutes=60)
    answer = admin_client.post(reverse("console:refused_ban"), {"ip": "nobody"}, follow=True)
    assert "Write an IPv4 address" in answer.content.decode()


def test_buttons_are_for_those_who_may(client: Client, row: VoiceApplication) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_refusedattempt"))
    client.force_login(viewer)
    write_reports([seen(row)])
    text = page(client)
    assert "Allow 198" not in text
    assert "Ban 198" not in text
    for name in ("refused_allow", "refused_ban"):
        assert client.post(reverse(f"console:{name}"), {"app": str(row.pk), "ip": "198.51.100.7"}).status_code == 403
        assert client.get(reverse(f"console:{name}")).status_code == 405


def test_an_empty_page_teaches_how_to_see_one(admin_client: Client) -> None:
    assert "manage.py call sip:somebody@" in page(admin_client)


SOMEBODY = UUID(int=1)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "last_at"),
        ({"source_ip": "198.51.100.7"}, "refusal_of_source"),
        ({"source_ip": "198.51.100.7", "application_id": SOMEBODY, "reason": "disabled", "account_id": "1"}, "refusal_of_source"),
        ({"application_id": SOMEBODY}, "refusal_page"),
        ({"application_id": SOMEBODY, "account_id": "1", "reason": "disabled"}, "refusal_page"),
        ({"account_id": "1"}, "refusal_of_account"),
        ({"account_id": "1", "reason": "disabled"}, "refusal_of_account"),
        ({"reason": "disabled"}, "refusal_for_reason"),
    ],
)
def test_no_question_reads_the_whole_table(wanted: dict[str, Any], index: str) -> None:
    with query_plans() as plans:
        refusals(Wanted(timezone.now() - timedelta(hours=1), **wanted))
    assert index in plans[0]
    assert not any("SCAN voiceapps_refusedattempt" in plan or "TEMP B-TREE" in plan for plan in plans), plans


def test_every_reason_is_explained() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    for reason, explanation in EXPLANATIONS.items():
        assert explanation.title and explanation.remedy and explanation.for_customer, reason


def test_the_text_for_a_customer() -> None:
    told = Refused(Reason.IP_NOT_ALLOWED, 401, 3, "198.51.100.7", "sip:a@b", "10:00", "10:05", "198.51.100.7", "203.0.113.0/24")
    assert text_for_customer(told) == (
        "Calls to sip:a@b from 198.51.100.7 were refused 3 times with 401, first at 10:00, last at 10:05.\n"
        "Reason: the source address is not on the list.\n"
        "We saw: 198.51.100.7.\n"
        "The list has: 203.0.113.0/24.\n"
        "Your call came from an address that is not on the list of this application. Add it, or call from one that is."
    )
    one = replace(told, reason=Reason.UNKNOWN_APPLICATION, count=1, source_ip="", uri="", seen="", expected="")
    assert text_for_customer(one).startswith("Calls to your application were refused once with 401")


def test_rows_stay_when_their_application_goes(admin_client: Client, row: VoiceApplication) -> None:
    write_reports([seen(row)])
    applications.delete(row, actor=ACTOR)
    assert RefusedAttempt.objects.count() == 1
    assert "no application, called as" in page(admin_client)


def test_a_version_that_is_none_is_no_fault_of_ours(admin_client: Client, row: VoiceApplication) -> None:
    form = {"app": str(row.pk), "ip": "203.0.113.7", "version": "9" * 5000}
    assert admin_client.post(reverse("console:refused_allow"), form).status_code == 302
