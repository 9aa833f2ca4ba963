"""How long an operator's session lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.people import FAST_HASHERS, PASSWORD, logged_in, made
from voiceapps import tasks
from voiceapps.models import AuditEntry
from voiceapps.rules.people.roles import Role

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE = 60
PAGE = "/console/calls/c-nothing/"
"""404 for who is logged in, 302 for who is not."""


class Clock:
    def __init__(self) -> None:
        self.now = START

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture
def client(clock: Clock) -> Client:
    return logged_in(made("looker", Role.VIEWER, password=PASSWORD))


def ask(client: Client, *, poll: bool = False) -> Any:
    return client.get(PAGE + "?live=1", headers={"HX-Request": "true"}) if poll else client.get(PAGE)


def test_it_ends_when_it_lay_idle(client: Client, clock: Clock) -> None:
    assert ask(client).status_code == 404
    clock.go_on(29 * MINUTE)
    assert ask(client).status_code == 404
    clock.go_on(29 * MINUTE)
    assert ask(client).status_code == 404
    clock.go_on(30 * MINUTE)
    assert ask(client).status_code == 302


def test_the_idle_time_is_a_setting(client: Client, clock: Clock, settings: Settings) -> None:
    settings.CONSOLE_IDLE_MINUTES = 5
    ask(client)
    clock.go_on(5 * MINUTE)
    assert ask(client).status_code == 302


def test_it_lasts_twelve_hours_however_much_it_is_used(client: Client, clock: Clock) -> None:
    for _ in range(36):
        assert ask(client).status_code == 404
        clock.go_on(20 * MINUTE)
    assert ask(client).status_code == 302


def test_a_page_that_polls_does_not_prolong_it(client: Client, clock: Clock) -> None:
    ask(client)
    for _ in range(29):
        clock.go_on(MINUTE)
        assert ask(client, poll=True).status_code == 404
    clock.go_on(MINUTE)
    assert ask(client, poll=True).status_code == 401
    assert ask(client).status_code == 302


def test_a_page_that_polls_without_a_session_is_told_that_it_is_over(clock: Clock) -> None:
    assert ask(Client(), poll=True).status_code == 401


def test_a_new_login_begins_anew(clock: Clock, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = FAST_HASHERS
    made("second", Role.VIEWER, password=PASSWORD)
    client = Client()
    for _ in range(2):
        client.post(reverse("admin:login"), {"username": "second", "password": PASSWORD})
        for _ in range(30):
            assert ask(client).status_code == 404
            clock.go_on(20 * MINUTE)


@pytest.mark.parametrize(("query", "headers"), [("", {"HX-Request": "true"}), ("?live=1", {}), ("?live=0", {"HX-Request": "true"})])
def test_what_somebody_asks_for_prolongs_it(client: Client, clock: Clock, query: str, headers: dict[str, str]) -> None:
    ask(client)
    clock.go_on(20 * MINUTE)
    client.get(PAGE + query, headers=headers)
    clock.go_on(20 * MINUTE)
    assert ask(client).status_code == 404


def test_a_poll_writes_nothing_and_reads_session_user_and_permissions(
    client: Client, clock: Clock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask(client)
    clock.go_on(10 * MINUTE)
    captured: CaptureQueriesContext
    with django_assert_num_queries(4) as captured:  # the fourth is the call, which is not there
        ask(client, poll=True)
    assert all(query["sql"].lstrip("(").startswith("SELECT") for query in captured.captured_queries)


def test_a_new_password_ends_the_other_sessions(client: Client) -> None:
    other = Client()
    other.force_login(made("second", Role.VIEWER, password=PASSWORD))
    mine = Client()
    mine.login(username="second", password=PASSWORD)
    assert ask(other).status_code == 404
    form = {"old_password": PASSWORD, "new_password1": PASSWORD + "x", "new_password2": PASSWORD + "x"}
    assert mine.post(reverse("admin:password_change"), form).status_code == 302
    assert [ask(one).status_code for one in (mine, other)] == [404, 302]
    assert [entry.subject for entry in AuditEntry.objects.filter(action="operator.set_password")] == ["second"]


def test_a_weak_new_password_is_refused(client: Client) -> None:
    form = {"old_password": PASSWORD, "new_password1": "qwerty123456", "new_password2": "qwerty123456"}
    assert client.post(reverse("admin:password_change"), form).status_code == 200


def test_programs_without_a_cookie_make_no_session() -> None:
    Client().get("/openapi.json")
    assert not Session.objects.exists()


def test_sessions_that_have_ended_are_swept(client: Client, clock: Clock) -> None:
    ask(client)
    clock.go_on(11 * 60 * MINUTE)
    young = logged_in(made("second", Role.VIEWER))
    ask(young)
    clock.go_on(2 * 60 * MINUTE)
    tasks.sweep_sessions()
    assert [row.session_key for row in Session.objects.all()] == [young.session.session_key]
