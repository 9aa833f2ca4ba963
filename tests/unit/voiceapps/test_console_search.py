"""Search on Ctrl-K: exact, by indexes, and of what the operator may see."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import application, ended, facts
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.models import Call, VoiceApplication, WebhookDelivery
from voiceapps.reads import search
from voiceapps.rules.people.roles import Role
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> VoiceApplication:
    return application(name="Clinic \u202e<b>")


@pytest.fixture
def call(row: VoiceApplication) -> Call:
    write_reports([ended(facts(row))])
    Call.objects.update(from_uri="sip:+14155550100@198.51.100.7", from_number="14155550100", sip_call_id="aBc@Caller")
    return Call.objects.get()


@pytest.fixture
def client() -> Client:
    return logged_in(made("op", Role.ADMIN))


def found(client: Client, text: str) -> list[str]:
    answer = client.get("/console/search/", {"s": text})
    assert answer.status_code == 200
    return [unescape(link) for link in re.findall(r'<a href="([^"]+)"', answer.content.decode())]


def test_a_call_is_found_by_each_of_its_names(client: Client, call: Call) -> None:
    page = reverse("console:call", args=[call.pk])
    for text in (call.pk, "aBc@Caller", "203.0.113.9", "+1 (415) 555-0100", f" {call.pk} "):
        assert found(client, text)[0] == page, text
    for text in ("abc@caller", call.pk[:-1], "203.0.113.8", "1415555"):
        assert page not in found(client, text), text


def test_lists_of_an_address_and_of_a_number_are_offered(client: Client) -> None:
    assert found(client, "192.0.2.1") == ["/console/refused/?ip=192.0.2.1&since=7d", "/console/calls/?ip=192.0.2.1"]
    assert found(client, "+49170123") == ["/console/calls/?number=49170123"]


def test_an_application_an_account_and_a_webhook_are_found(client: Client, row: VoiceApplication, call: Call) -> None:
    page = reverse("console:app", args=[row.pk])
    VoiceApplication.objects.update(sip_alias="15f99d57-f823-4718-80cc-5d95d5b83e59")
    for text in (str(row.pk), "15f99d57-f823-4718-80cc-5d95d5b83e59", "linic", "CLINIC"):
        assert page in found(client, text), text
    assert reverse("admin:voiceapps_account_change", args=["9900000"]) in found(client, "9900000")
    delivery = WebhookDelivery.objects.get()
    assert found(client, str(delivery.pk)) == [reverse("console:webhook", args=[delivery.pk])]


def test_pages_are_found_by_their_titles(client: Client) -> None:
    assert found(client, "webhoo") == ["/console/webhooks/"]
    assert "/console/auth/user/" not in found(logged_in(made("viewer", Role.VIEWER)), "operators")


def test_nothing_from_the_wire_acts_or_stays_long(client: Client, row: VoiceApplication, call: Call) -> None:
    Call.objects.update(from_uri="sip:" + "7" * 600)
    for text in ("Clinic", call.pk):
        shown = client.get("/console/search/", {"s": text}).content.decode()
        assert "\u202e" not in shown
        assert "<b>" not in shown
        assert "7" * 81 not in shown


@pytest.mark.parametrize("text", ["", "x", "nobody is called so", "x" * 600])
def test_nothing_is_told_in_words(client: Client, text: str) -> None:
    shown = client.get("/console/search/", {"s": text})
    assert shown.status_code == 200
    assert 'id="command-results-note"><p' in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]


# People


def test_an_operator_of_another_account_finds_nothing(row: VoiceApplication, call: Call) -> None:
    other = logged_in(made("other", Role.ADMIN, "9911111"))
    links = ("/console/calls/c-", "voiceapplication/", "webhooks/", "account/9900000")
    for text in (
        call.pk,
        "aBc@Caller",
        "203.0.113.9",
        "14155550100",
        str(row.pk),
        "Clinic",
        "9900000",
        str(WebhookDelivery.objects.get().pk),
    ):
        assert [link for link in found(other, text) if any(part in link for part in links)] == [], text


def test_a_viewer_finds_no_call_by_number_or_address_and_sees_neither(call: Call) -> None:
    viewer = logged_in(made("viewer", Role.VIEWER))
    assert found(viewer, "203.0.113.9") == []
    assert found(viewer, "14155550100") == []
    shown = viewer.get("/console/search/", {"s": "aBc@Caller"}).content.decode()
    assert f"/console/calls/{call.pk}/" in shown
    assert "203.0.113.9" not in shown
    assert "5550100" not in shown


def test_a_stranger_is_asked_to_log_in() -> None:
    assert Client().get("/console/search/", {"s": "x"}).status_code == 302


# Costs


@pytest.mark.parametrize("text", ["9900000", "203.0.113.9", "Clinic", "aBc@Caller", "15f99d57-f823-4718-80cc-5d95d5b83e59"])
def test_a_search_costs_few_queries_however_many_rows(
    client: Client, row: VoiceApplication, call: Call, django_assert_max_num_queries: DjangoAssertNumQueries, text: str
) -> None:
    for number in range(2, 20):
        write_reports([ended(facts(row, number))])
    found(client, text)
    # The session, the operator, permissions; and at most two for calls by Call-ID and by number, and one for each other kind.
    with django_assert_max_num_queries(10):
        found(client, text)
    assert len([link for link in found(client, text) if "calls/c-" in link]) <= search.MAX_EACH


def test_no_search_scans(client: Client, row: VoiceApplication, call: Call) -> None:
    application("9911111")
    bound = logged_in(made("bound", Role.ADMIN, "9900000"))
    for text in (call.pk, "aBc@Caller", "203.0.113.9", "14155550100", str(row.pk), "Clinic", "9900000"):
        for who in (client, bound):
            with query_plans() as plans:
                found(who, text)
            big = [plan for plan in plans if re.search(r"SCAN (voiceapps_(call|webhook|account)|auth_)", plan)]
            assert big == [], text
            # Names are looked through along an index, and only so many of them.
            scans = [plan for plan in plans if re.search(r"SCAN (?!\S+ USING (COVERING )?INDEX|CONSTANT)", plan)]
            assert scans == [], text
    assert connection.vendor == "sqlite"


def test_so_many_names_are_looked_through(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_NAMES", 2)
    for _ in range(4):
        application(name="same")
    assert len([link for link in found(client, "same") if "/console/apps/" in link]) == 2
