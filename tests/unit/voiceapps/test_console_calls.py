"""The console's list of calls: filters that are links, pages both ways, and nothing personal for those who may not see it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.unit.voiceapps.builders import ACTOR, application, ended, facts
from voiceapps.models import AuditEntry, Call, SavedFilter, VoiceApplication
from voiceapps.paging import call_list
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import CallAdmitted, CallFacts, MediaReport
from voiceapps.services.diagnosis import saved_filters
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

LIST = "/console/calls/"
EVIL = f"sip:{'7' * 600}\u202e<script>@a.example"


@pytest.fixture
def row() -> VoiceApplication:
    return application(name="Clinic \u202e<b>")


def call_of(row: VoiceApplication, number: int = 1, **changes: object) -> CallFacts:
    started = (timezone.now() - timedelta(hours=1) + timedelta(seconds=number)).timestamp()
    return replace(facts(row, number), **{"started_at": started, "from_uri": "sip:+14155550100@198.51.100.7"} | changes)  # type: ignore[arg-type]


def over(call: CallFacts, reason: EndReason = EndReason.CALLER_HANGUP) -> None:
    write_reports([ended(call, reason=reason, at=call.started_at + 10, answered_at=call.started_at + 2)])


def client_with(*permissions: str) -> Client:
    user, _ = User.objects.get_or_create(username="op", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_call", *permissions)))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client() -> Client:
    return client_with("see_personal", "export_calls")


def shown(client: Client, query: str = "") -> str:
    answer = client.get(LIST + query)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/console/calls/([^/]+)/"', text)


def link(text: str, label: str) -> str:
    found = re.search(rf'href="(\?[^"]*)"[^>]*>{label}</a>', text)
    assert found, label
    return unescape(found[1])


def test_a_call_that_was_not_heard_is_a_failed_call(row: VoiceApplication, client: Client) -> None:
    deaf, good = call_of(row, 1), call_of(row, 2)
    side = MediaFigures("external", 0, 0, 169, 0, 0.5, None, None, 0, "kernel", 0, "", "")
    over(deaf)
    write_reports([MediaReport(deaf.call_id, "r", 0.0, one, final=True) for one in (side, replace(side, side="internal", packets_in=9))])
    over(good)
    text = shown(client)
    assert listed(text) == [good.call_id, deaf.call_id]
    assert "Answered, but the caller&#x27;s audio never arrived" in text
    assert "sipuri-says sipuri-is-bad" in text
    assert "cancel</span>" in text
    for part in ("8.0 s", "2.0 s", "203.0.113.9 US", "sip:+14155550100@198.51.100.7", "200 · caller hangup"):
        assert part in text
    assert listed(shown(client, link(text, "Failed".join(["[^<]*<span[^>]*>cancel</span> ", ""])))) == [deaf.call_id]


def test_nothing_from_the_wire_acts_or_stays_long(row: VoiceApplication, client: Client) -> None:
    over(call_of(row, from_uri=EVIL, sip_call_id="\u202eid"))
    text = shown(client)
    assert "<script>@" not in text
    assert "<b>" not in text
    assert "\u202e" not in text
    assert '<summary><bdi class="sipuri-wire">' + ("sip:" + "7" * 600)[:48] + "…</bdi>" in text


def test_pages_lead_both_ways(row: VoiceApplication, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_list, "PAGE", 2)
    started = (timezone.now() - timedelta(hours=1)).timestamp()
    ids = [call_of(row, number).call_id for number in range(5, 0, -1)]
    write_reports([CallAdmitted(call_of(row, number, started_at=started), "p") for number in range(1, 6)])
    first = shown(client, "?account=9900000&since=2h")
    second = shown(client, link(first, "Older"))
    third = shown(client, link(second, "Older"))
    assert [listed(text) for text in (first, second, third)] == [ids[:2], ids[2:4], ids[4:]]
    assert dict(parse_qsl(urlsplit(link(second, "Older")).query)).keys() == {"account", "since", "after"}
    assert listed(shown(client, link(third, "Newer"))) == ids[2:4]
    assert listed(shown(client, link(third, "Newest"))) == ids[:2]
    assert "Older" not in third


def test_the_fields_are_filters(row: VoiceApplication, client: Client) -> None:
    call, other = call_of(row, 1, sip_call_id="x@y"), call_of(application("9911111"), 2, source_ip="192.0.2.7", from_uri="sip:anon@x")
    over(call)
    over(other, EndReason.CALLBACK_ERROR)
    for query in (f"app={row.pk}", "account=9900000", "number=%2B1+415-555-0100", "number=1415*", "ip=203.0.113.9", f"id={call.call_id}"):
        assert listed(shown(client, f"?{query}")) == [call.call_id]
    for query in ("verdict=good", "verdict=unmeasured", "id=x%40y", "since=24h&account=9900000", "number=1415*&verdict=good"):
        assert listed(shown(client, f"?{query}")) == [call.call_id]
    assert listed(shown(client, "?verdict=bad")) == [other.call_id]
    assert listed(shown(client, "?until=3h")) == []


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(client: Client) -> None:
    text = shown(client, "?ip=203.0.113&since=yesterday&account=9900000&verdict=worse")
    assert re.search(r'name="ip" value="203.0.113"[^>]*aria-invalid="true"[^>]*>\s*<p class="sipuri-errors"[^>]*>Not an IPv4 address', text)
    assert re.search(r'name="since" value="yesterday"[^>]*aria-invalid', text)
    assert 'value="9900000"' in text
    assert '<option value="worse" selected>' in text
    assert 'class="sipuri-unfold" checked' in text
    assert "No call fits" not in text
    assert "Not a place in this list." in shown(client, "?after=x")
    assert "At most 31 days" in shown(client, "?since=32d")


def test_the_span_that_is_shown_is_said(client: Client) -> None:
    text = shown(client, "?until=2026-11-30T10:00:00Z")
    assert "Calls from 2026-11-29 10:00:00 UTC to 2026-11-30 10:00:00 UTC" in text
    assert "Calls of all times" in shown(client, "?ip=203.0.113.9")


def test_an_empty_list_teaches_how_to_call(client: Client, row: VoiceApplication) -> None:
    assert "No application takes calls yet" in shown(client)
    VoiceApplication.objects.filter(pk=row.pk).update(inbound_sip_enabled=True, password_auth_enabled=True, sip_alias=row.pk)
    text = shown(client)
    assert f"manage.py call sip:{row.pk}@sip-uri.localhost --proxy 127.0.0.1:6160 --user {row.pk} --password PASSWORD" in text
    VoiceApplication.objects.update(password_auth_enabled=False)
    assert "--password" not in shown(client, f"?app={row.pk}")
    assert "clear the filter" in shown(client, "?verdict=bad")


def test_where_there_are_too_many_applications_an_id_is_typed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = application(name="one").pk
    assert f'<option value="{chosen}" selected>one (9900000)</option>' in shown(client, f"?app={chosen}")
    stranger = "15f99d57-f823-4718-80cc-5d95d5b83e59"
    assert f'<option value="{stranger}" selected>' in shown(client, f"?app={stranger}")
    monkeypatch.setattr("voiceapps.console.filters.MAX_APPLICATIONS", 0)
    assert f'name="app" value="{chosen}"' in shown(client, f"?app={chosen}")


def test_the_look_that_is_cut_leads_on(row: VoiceApplication, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_list, "MAX_LOOKED_AT", 2)
    for number in (1, 2, 3):
        over(call_of(row, number), EndReason.CALLBACK_ERROR if number == 1 else EndReason.CALLER_HANGUP)
    text = shown(client, "?ip=203.0.113.9&verdict=bad")
    assert "more may fit" in text
    assert listed(text) == []
    assert listed(shown(client, link(text, "Look further"))) == [call_of(row, 1).call_id]


# People


def test_who_may_not_see_persons_sees_networks_and_may_not_ask(row: VoiceApplication) -> None:
    over(call_of(row))
    text = shown(client_with())
    assert "14155550100" not in text
    assert "203.0.113.9" not in text
    assert "198.51.100.7" not in text
    assert "sip:+1415555…@198.51.100.0/24" in text
    assert "203.0.113.0/24 US" in text
    assert 'name="ip"' not in text
    for query in ("ip=203.0.113.9", "number=1*", "ip=x"):
        assert client_with().get(f"{LIST}?{query}").status_code == 403
    assert client_with().post(reverse("console:save_filter"), {"name": "x", "query": "ip=203.0.113.9"}).status_code == 403


def test_who_may_not_see_calls_or_export_is_told(row: VoiceApplication, client: Client) -> None:
    user = User.objects.get(username="op")
    assert "CSV" in shown(client)
    assert "CSV" not in shown(client_with())
    assert client_with().post(reverse("console:export_calls"), {"format": "csv"}).status_code == 403
    user.user_permissions.clear()
    assert client.get(LIST).status_code == 403
    assert Client().get(LIST).status_code == 302


# Filters with a name


def test_a_filter_is_kept_and_forgotten(client: Client) -> None:
    answer = client.post(reverse("console:save_filter"), {"name": " Bad \n ones ", "query": "verdict=bad&since=7d&after=1.c&x=1"})
    assert answer.headers["Location"] == f"{LIST}?since=7d&verdict=bad"
    text = shown(client)
    assert 'href="?since=7d&amp;verdict=bad"><bdi class="sipuri-wire">Bad ones</bdi></a>' in text
    client.post(reverse("console:save_filter"), {"name": "Bad ones", "query": "verdict=bad"})
    kept = SavedFilter.objects.get()
    assert kept.query == "verdict=bad"
    assert client.get(reverse("console:remove_filter", args=[kept.pk])).status_code == 405
    stranger = User.objects.create(username="other")
    saved_filters.remove(stranger.pk, kept.pk, actor=ACTOR)
    assert SavedFilter.objects.count() == 1
    client.post(reverse("console:remove_filter", args=[kept.pk]))
    assert not SavedFilter.objects.exists()
    actions = AuditEntry.objects.filter(action__startswith="filter.").order_by("number").values_list("action", "actor", "subject")
    assert list(actions) == [(f"filter.{verb}", "operator op", "Bad ones") for verb in ("save", "save", "remove")]


@pytest.mark.parametrize("name", ["", "x" * 61, "a\u202eb"])
def test_a_bad_name_is_told(client: Client, name: str) -> None:
    answer = client.post(reverse("console:save_filter"), {"name": name, "query": ""}, follow=True)
    assert "A name has 1 to 60 characters." in answer.content.decode()
    assert not SavedFilter.objects.exists()


def test_a_bad_filter_is_not_kept_and_there_are_so_many(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_filters, "MAX_FILTERS", 2)
    assert "finds nothing is not kept" in save(client, "a", "app=x")
    assert "at most 2048" in save(client, "a", "id=" + "%E2%82%AC" * 500)
    for name in ("a", "b", "a"):
        assert "remove one first" not in save(client, name, "verdict=bad")
    assert "You have 2 filters; remove one first." in save(client, "c", "verdict=bad")


def save(client: Client, name: str, query: str) -> str:
    return client.post(reverse("console:save_filter"), {"name": name, "query": query}, follow=True).content.decode()


# Where old links lead


@pytest.mark.parametrize(
    ("sought", "query"), [("", ""), ("?q=203.0.113.9", "?ip=203.0.113.9"), ("?q=a%40b", "?id=a%40b"), ("?state__exact=x", "")]
)
def test_the_old_list_leads_to_the_new_one(client: Client, sought: str, query: str) -> None:
    assert client.get(f"/console/voiceapps/call/{sought}").headers["Location"] == LIST + query


def test_the_call_page_links_the_calls_from_there(row: VoiceApplication, client: Client) -> None:
    call = call_of(row)
    over(call)
    assert f'href="{LIST}?ip=203.0.113.9"' in client.get(f"{LIST}{call.call_id}/?tab=related").content.decode()


def test_the_list_costs_the_same_for_many_calls(
    row: VoiceApplication, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(1, 60):
        over(call_of(row, number))
    shown(client)
    for query in ("", "?verdict=bad", "?verdict=good&account=9900000", "?ip=203.0.113.9&verdict=good"):
        # The session, the operator, two of permissions; and of the page: keys, calls, applications, kept filters.
        with django_assert_max_num_queries(8):
            shown(client, query)


def test_a_call_without_a_verdict_is_listed(row: VoiceApplication, client: Client) -> None:
    call = call_of(row)
    over(call)
    Call.objects.get().verdict.delete()
    assert "Not judged" in shown(client)
    assert datetime.fromtimestamp(call.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") in shown(client)
