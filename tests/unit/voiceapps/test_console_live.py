"""The calls that are up: one query, whole numbers only for who may see them, and an order that ends a call."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from tests.support.order_taker import NODE, OrderTaker
from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import STARTED, application, ended, facts
from voiceapps.models import AuditEntry, OpenCall, VoiceApplication
from voiceapps.reads import live_calls
from voiceapps.reads.live_calls import LiveCall, Side, live_call
from voiceapps.rules.call_orders import OrderKind, Outcome
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import CallAdmitted, CallAnswered, CallFacts, CallForwarded, MediaReport
from voiceapps.services import applications
from voiceapps.services.audit import Actor
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

EVIL = "<script>\u202e"
SEEN = ("view_call", "see_personal", "end_calls")
LIVE = "/console/live/"
GOOD = MediaFigures("external", 500, 80_000, 498, 0, 1.0, None, 4.2, 0, "kernel", 0, "", "")


def console(*permissions: str) -> Client:
    user = User.objects.create(username="op", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.fixture
def app() -> VoiceApplication:
    return application()


@pytest.fixture
def call(app: VoiceApplication) -> CallFacts:
    """A call that is up, on the node that takes orders."""
    begun = replace(facts(app), from_uri="sip:+49301234567@trunk.example")
    write_reports([CallAdmitted(begun, "proxy"), CallForwarded(begun.call_id, NODE, ""), CallAnswered(begun, NODE, STARTED + 1)])
    return begun


def heard(call: CallFacts, *sides: MediaFigures) -> None:
    write_reports([MediaReport(call.call_id, "relay-1", STARTED, side, final=False) for side in sides])


def page(*permissions: str, query: str = "") -> str:
    answer = console(*permissions).get(LIVE + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_call_is_shown_with_what_is_known_of_it(call: CallFacts) -> None:
    heard(call, GOOD, replace(GOOD, side="internal", packets_in=498))
    text = words(page(*SEEN))
    assert "One call is up." in text
    for part in (
        "sip:+49301234567@trunk.example",
        "203.0.113.9 US",
        "App",
        f"on {NODE}",
        "answered",
        "500 came",
        "498 ours",
        "good",
        "End…",
    ):
        assert part in text
    User.objects.all().delete()
    assert f'data-since="{STARTED + 1:.0f}"' in page(*SEEN)


@pytest.mark.parametrize(
    ("side", "word", "detail"),
    [
        (GOOD, "good", "0.0 % lost, MOS 4.2"),
        (replace(GOOD, lost=6), "fair", "1.2 % lost"),
        (replace(GOOD, mos=3.5), "fair", "MOS 3.5"),
        (replace(GOOD, lost=30), "poor", "5.7 % lost"),
        (replace(GOOD, mos=3.0), "poor", "MOS 3.0"),
        (replace(GOOD, packets_in=0, mos=None), "silent", "nothing from the caller"),
        (replace(GOOD, lost=-3, mos=None), "good", "0.0 % lost"),
    ],
)
def test_how_it_sounds_is_said_in_a_word(call: CallFacts, side: MediaFigures, word: str, detail: str) -> None:
    heard(call, side, replace(GOOD, side="internal"))
    html = page(*SEEN)
    assert f"sipuri-sound-{word}" in html
    if word != "good":
        assert detail in words(html)


def test_without_a_report_nothing_is_claimed(call: CallFacts) -> None:
    assert "no report yet" in page(*SEEN)


def test_numbers_and_addresses_are_for_those_who_may_see_them(call: CallFacts) -> None:
    for html in (page("view_call"), page_of_end()):
        assert "sip:+4930123…@trunk.example" in html
        assert "203.0.113.0/24" in html
        assert "4567" not in html
        assert "203.0.113.9" not in html


def page_of_end() -> str:
    User.objects.all().delete()
    return console("view_call", "end_calls").get(f"{LIVE}{facts_id()}/end").content.decode()


def facts_id() -> str:
    return OpenCall.objects.get().call_id


def test_the_button_is_there_for_those_who_may_end_calls(call: CallFacts) -> None:
    assert "End…" not in page("view_call", "see_personal")
    User.objects.all().delete()
    client = console("view_call")
    assert client.get(f"{LIVE}{call.call_id}/end").status_code == 403
    assert client.post(f"{LIVE}{call.call_id}/end").status_code == 403


def test_a_call_is_ended_after_a_question_that_names_it(call: CallFacts, order_taker: OrderTaker) -> None:
    client = console(*SEEN)
    asked = client.get(f"{LIVE}{call.call_id}/end").content.decode()
    assert "End the call from" in asked
    assert "sip:+49301234567@trunk.example" in asked
    assert order_taker.taken == []
    answer = client.post(f"{LIVE}{call.call_id}/end", follow=True)
    assert "The call is ended." in answer.content.decode()
    assert [(order.call_id, order.kind) for order in order_taker.taken] == [(call.call_id, OrderKind.COMPLETE)]
    entry = AuditEntry.objects.get(action="call.end")
    assert (entry.actor, entry.subject, entry.chain) == ("operator op", call.call_id, call.account_id)


def test_a_call_that_is_over_is_not_ended_again(call: CallFacts, order_taker: OrderTaker) -> None:
    client = console(*SEEN)
    order_taker.outcome = Outcome.OVER
    assert "was over already" in client.post(f"{LIVE}{call.call_id}/end", follow=True).content.decode()
    write_reports([ended(call)])
    assert "is over already" in client.post(f"{LIVE}{call.call_id}/end", follow=True).content.decode()
    assert "is over already" in client.get(f"{LIVE}c-nothing/end", follow=True).content.decode()


def test_a_node_that_does_not_answer_is_named(call: CallFacts, order_taker: OrderTaker) -> None:
    order_taker.is_there = False
    answer = console(*SEEN).post(f"{LIVE}{call.call_id}/end", follow=True)
    assert f"{NODE} does not answer: the call goes on." in answer.content.decode()
    # That it was ordered is known.
    assert AuditEntry.objects.filter(action="call.end").count() == 1


def test_the_newest_are_shown_and_the_others_counted(app: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_calls, "MAX_CALLS", 2)
    write_reports([CallAdmitted(replace(facts(app, number), started_at=STARTED + number), "proxy") for number in range(5)])
    html = page(*SEEN)
    assert "The newest 2 of 5 calls are shown: 3 more are up." in html
    assert html.index(facts(app, 4).call_id) < html.index(facts(app, 3).call_id)
    assert facts(app, 2).call_id not in html


def test_an_account_has_its_own_calls(call: CallFacts) -> None:
    others = application("9911111")
    write_reports([CallAdmitted(facts(others, 2), "proxy")])
    assert [one.call_id for one in live_calls.live_calls("9911111").shown] == [facts(others, 2).call_id]
    assert live_calls.live_calls("9911111").total == 1
    assert live_calls.live_calls(None).total == 2
    assert live_call(call.call_id, "9911111") is None
    assert live_call(call.call_id, call.account_id) is not None


def test_what_is_read_is_frozen_and_whole(call: CallFacts, app: VoiceApplication) -> None:
    heard(call, GOOD)
    (found,) = live_calls.live_calls(None).shown
    assert isinstance(found, LiveCall)
    assert found.caller == Side(500, 498, 0, 1.0, 4.2, "relay-1")
    assert found.callflow is None
    assert (found.application_id, found.application_name, found.state) == (str(app.pk), "App", "answered")


def test_nothing_from_the_wire_acts(app: VoiceApplication) -> None:
    write_reports([CallAdmitted(replace(facts(app), from_uri=f"sip:{EVIL}{'7' * 600}@a.example"), "proxy")])
    html = page(*SEEN)
    assert EVIL not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;⟨U+202E⟩" in html


def test_a_poll_costs_one_query_and_writes_nothing(app: VoiceApplication, call: CallFacts) -> None:
    write_reports([CallAdmitted(facts(app, number), "proxy") for number in range(2, 30)])
    client = console(*SEEN)
    client.get(LIVE)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"{LIVE}?live=1", headers={"HX-Request": "true"})
    tables = [re.findall(r'FROM "(\w+)"', query["sql"])[-1] for query in queries]
    assert len(tables) == 4
    assert tables[:2] == ["django_session", "auth_user"]
    assert sum(table.startswith("voiceapps_") for table in tables) == 1
    assert {query["sql"].lstrip("(").split()[0] for query in queries} == {"SELECT"}
    assert not answer.cookies
    again = client.get(f"{LIVE}?live=1", headers={"HX-Request": "true", "If-None-Match": answer["ETag"]})
    assert again.status_code == 304


def test_only_open_calls_are_scanned(call: CallFacts, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    heard(call, GOOD)
    with django_assert_num_queries(1):
        live_calls.live_calls(None)
    with query_plans() as plans:
        live_calls.live_calls(None)
        live_calls.live_calls(call.account_id)
    scanned = {step.split()[1] for plan in plans for step in plan.split("; ") if step.startswith("SCAN")}
    assert not {name for name in scanned if "opencall" not in name and not re.fullmatch(r"U\d+", name)}


def test_where_nothing_is_up_the_page_tells_how_to_place_a_call(app: VoiceApplication) -> None:
    assert "No application has a SIP URI yet." in page(*SEEN)
    applications.update(app, {}, InboundSipPatch(enabled=True, password_auth=True), actor=Actor("test"))
    app.refresh_from_db()
    User.objects.all().delete()
    html = page(*SEEN)
    assert "No call is up." in html
    assert f"/dial {app.sip_uri}" in html
    applications.update(app, {}, InboundSipPatch(password_auth=False, source_ips=("203.0.113.0/24",)), actor=Actor("test"))
    User.objects.all().delete()
    assert f"sipp -sn uac -s {app.sip_user}" in page(*SEEN)
