"""The overview: what needs attention first, each operator what they may see, and a live part that costs one query and writes nothing."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.support.kamailio import make_certificate
from tests.unit.voiceapps.builders import application, ended, facts
from voiceapps.console.access.sessions import is_poll
from voiceapps.models import FailingHost, VoiceApplication
from voiceapps.rules.admission import Reason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallAdmitted, CallFacts, NodeBeat, RefusalSeen, WebhookFetched
from voiceapps.services.figures import minutes
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

POLL = {"HX-Request": "true"}
EVERYTHING = ("view_call", "view_refusedattempt", "view_webhookdelivery", "view_node", "view_ban")


def console(*permissions: str) -> Client:
    user = User.objects.create(username="op", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def poll(client: Client, **headers: str) -> HttpResponse:
    return client.get(f"{reverse('console:overview')}?live=1", headers=POLL | headers)  # type: ignore[return-value]  # the test client's own kind


def shown(client: Client) -> str:
    answer = client.get(reverse("console:overview"))
    assert answer.status_code == 200
    return answer.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def begun(app: VoiceApplication, number: int, ago: float = 90.0) -> CallFacts:
    return replace(facts(app, number), started_at=time.time() - ago)


@pytest.fixture
def filled() -> VoiceApplication:
    app, now = application(), time.time()
    calls = [begun(app, number) for number in range(4)]
    write_reports([CallAdmitted(call, "proxy") for call in calls])
    write_reports([ended(call, at=now - 10, answered_at=now - 70) for call in calls[:2]])
    write_reports([ended(calls[2], at=now, answered_at=None, reason=EndReason.INTERNAL_ERROR)])
    write_reports([WebhookFetched(calls[0], "initiate", now, "https://a.example/", "POST", "{}", 200, "", 30, None)])
    write_reports([RefusalSeen(str(app.pk), "198.51.100.1", Reason.DIGEST_WRONG, 401, 25, now, now, None, "", "", "", ())])
    write_reports([NodeBeat("mediarelay", "relay-1", now, "up", "", "", 2, "", ports_used=90, ports_total=100)])
    minutes.roll_up()
    return app


def test_it_is_where_the_console_begins() -> None:
    assert reverse("console:overview") == reverse("admin:index")
    assert Client().get(reverse("console:overview")).status_code == 302


def test_what_needs_attention_comes_first_and_the_worst_of_it(filled: VoiceApplication) -> None:
    html = shown(console(*EVERYTHING))
    text = words(html)
    ports = "Broken. relay-1 uses 90 % of its media ports"
    jumped = "Look at it. Refusals jumped: wrong password, 25 in 10 minutes, 0 in the 50 before."
    assert text.index(ports) < text.index("Broken. 1 of 4 calls of the last hour ended by a fault of this system.") < text.index(jumped)
    assert text.index(jumped) < text.index("Calls a minute")
    assert f"{reverse('console:refused')}?since=1h&amp;reason=digest_wrong" in html
    assert f"{reverse('console:calls')}?since=1h&amp;verdict=bad" in html


def test_figures_are_those_of_the_hour(filled: VoiceApplication) -> None:
    text = words(shown(console(*EVERYTHING)))
    for tile in (
        "Live calls 1 up now",
        "4 in 60 min",
        "Answered (ASR) 67 % 2 of 3",
        "Average talk (ACD) 1 min 00 s of 2 calls that are over",
        "Refused 25 attempts in 60 min",
        "0 of 1 failed",
        "Nodes 1 up none is silent",
        "Media ports 90 % 90 of 100 pairs in use",
    ):
        assert tile in text
    assert "ended as calls end 2" in text
    assert "25 Wrong password" in text
    assert "initiate 1 0" in text


def test_an_installation_that_is_well_is_told_so() -> None:
    write_reports([NodeBeat(role, f"{role}-1", time.time(), "up", "", "", 0, "") for role in ("sipproxy", "worker", "webhooks")])
    assert "Nothing needs attention." in shown(console(*EVERYTHING))


def test_an_installation_whose_processes_never_ran_is_told_so() -> None:
    assert "No proxy is up: no call comes in." in shown(console(*EVERYTHING))
    User.objects.all().delete()
    assert "No proxy is up" not in shown(console("view_call"))


@pytest.mark.parametrize(
    ("permission", "seen"),
    [
        ("view_call", "ended by a fault of this system"),
        ("view_refusedattempt", "Refusals jumped"),
        ("view_node", "of its media ports"),
        ("view_call", "Answered (ASR)"),
        ("view_refusedattempt", "Refused attempts, last hour"),
        ("view_webhookdelivery", "Webhooks, last hour"),
        ("view_node", "relay-1"),
        ("view_ban", "in force"),
    ],
)
def test_each_operator_sees_what_they_may(filled: VoiceApplication, permission: str, seen: str) -> None:
    assert seen in shown(console(permission))
    User.objects.all().delete()
    others = [name for name in EVERYTHING if name != permission]
    client = console(*others)
    assert seen not in shown(client)
    assert seen not in poll(client).content.decode()


def test_the_end_of_the_certificate_is_watched(settings: Settings, tmp_path: Path) -> None:
    settings.SIP_TLS_CERT = str(make_certificate(tmp_path).certificate)
    assert "The TLS certificate ends in 0 days" in shown(console(*EVERYTHING))
    User.objects.all().delete()
    assert "TLS certificate ends" not in shown(console("view_call"))
    settings.SIP_TLS_CERT = str(tmp_path / "nothing.pem")
    User.objects.all().delete()
    assert "cannot be read here" in shown(console("view_node"))


def test_a_poll_is_the_live_part_alone_and_304_where_nothing_has_changed(filled: VoiceApplication) -> None:
    client = console("view_call")
    answer = poll(client)
    assert b"<html" not in answer.content
    assert b"sipuri-tiles" in answer.content
    assert b"Last 24 hours" not in answer.content
    again = poll(client, **{"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    write_reports([CallAdmitted(begun(filled, 9), "proxy")])
    changed = poll(client, **{"If-None-Match": answer["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != answer["ETag"]


def test_a_poll_costs_one_query_beside_session_and_operator_and_writes_nothing(filled: VoiceApplication) -> None:
    client = console(*EVERYTHING)
    shown(client)  # a session's first request begins it
    with CaptureQueriesContext(connection) as queries:
        answer = poll(client)
    tables = [re.findall(r'FROM "(\w+)"', query["sql"])[0] for query in queries]
    assert sorted(tables) == ["auth_permission", "auth_user", "django_session", "voiceapps_node"]
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}
    assert not answer.cookies


def test_the_page_costs_the_same_for_much_and_for_little(filled: VoiceApplication) -> None:
    client = console(*EVERYTHING)
    shown(client)
    with CaptureQueriesContext(connection) as few:
        shown(client)
    for number in range(20, 60):
        write_reports([CallAdmitted(begun(application(), number, ago=60.0 * number), "proxy")])
    minutes.roll_up()
    with CaptureQueriesContext(connection) as many:
        shown(client)
    assert len(few) == len(many) == 7


def test_only_a_request_that_says_so_is_a_poll(rf: RequestFactory) -> None:
    assert is_poll(rf.get("/console/?live=1", headers=POLL))
    assert not is_poll(rf.get("/console/", headers=POLL))
    assert not is_poll(rf.get("/console/?live=1"))
    assert not is_poll(rf.post("/console/?live=1", headers=POLL))
    assert not is_poll(rf.get("/api/v2/accounts?live=1", headers=POLL))


def test_names_of_hosts_do_not_act(filled: VoiceApplication) -> None:
    now = timezone.now()
    FailingHost.objects.create(
        account_id=filled.account_id, host="<b>\u202eevil", failures=9, since=now, last_at=now, error="", rests_until=now
    )
    html = shown(console(*EVERYTHING))
    assert "&lt;b&gt;⟨U+202E⟩evil takes no webhooks" in html
    assert "\u202e" not in html
