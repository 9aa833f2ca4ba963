"""The login: what failures cost a source and a name, and that nobody can lock another out."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.people import FAST_HASHERS, PASSWORD, made
from voiceapps.console.pages import login
from voiceapps.models import AuditEntry, FailedLogin
from voiceapps.rules.people.lockout import FREE_OF_NAME, MAX_OF_PAIR, MAX_OF_SOURCE, WINDOW
from voiceapps.rules.people.roles import Role

pytestmark = pytest.mark.django_db
HERE, THERE = "203.0.113.1", "203.0.113.2"
WRONG = "wrong"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays of logins, which nobody waits for."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture(autouse=True)
def boss(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = FAST_HASHERS
    made("boss", Role.ADMIN, password=PASSWORD)


def attempt(name: str, password: str = WRONG, source: str = HERE, client: Client | None = None, **query: str) -> Any:
    form = {"username": name, "password": password, **query}
    return (client or Client()).post(reverse("admin:login"), form, REMOTE_ADDR=source)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = timezone.now() + timedelta(seconds=seconds)
    monkeypatch.setattr(timezone, "now", lambda: now)


def test_the_right_password_logs_in_and_is_audited() -> None:
    answer = attempt("boss", PASSWORD)
    assert (answer.status_code, answer["Location"]) == (302, "/console/")
    entry = AuditEntry.objects.get(action="operator.log_in")
    assert (entry.subject, entry.source_ip, entry.changes) == ("boss", HERE, {"proof": "password"})
    assert not FailedLogin.objects.filter(failures__gt=0).exists()


def test_one_name_from_one_source_is_stopped() -> None:
    answers = [attempt("boss").status_code for _ in range(MAX_OF_PAIR)]
    assert answers == [200] * MAX_OF_PAIR
    stopped = attempt("boss", PASSWORD)
    assert stopped.status_code == 429
    assert 0 < int(stopped["Retry-After"]) <= WINDOW
    assert "Try again in 15 minutes" in stopped.content.decode()


def test_from_elsewhere_it_still_logs_in() -> None:
    for _ in range(MAX_OF_PAIR + 1):
        attempt("boss")
    assert attempt("boss", PASSWORD, THERE).status_code == 302


def test_one_source_is_stopped_whatever_names_it_tries() -> None:
    for number in range(MAX_OF_SOURCE):
        assert attempt(f"name-{number}").status_code == 200
    assert attempt("boss", PASSWORD).status_code == 429
    assert attempt("boss", PASSWORD, THERE).status_code == 302


def test_many_sources_make_a_name_slower_and_never_lock_it(waited: list[float]) -> None:
    for number in range(FREE_OF_NAME + 6):
        attempt("BOSS", source=f"198.51.100.{number}")
    assert waited == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    assert attempt("boss", PASSWORD, THERE).status_code == 302
    assert attempt("boss", PASSWORD, THERE).status_code == 302
    assert len(waited) == 7


def test_no_more_than_a_few_wait_at_once(waited: list[float]) -> None:
    for _ in range(login.MAX_DELAYED):
        login._delays.acquire(blocking=False)
    try:
        login._wait(4.0)
    finally:
        login._delays.release(login.MAX_DELAYED)
    assert waited == []


def test_a_success_does_not_wipe_out_the_failures_of_its_source() -> None:
    made("mole", Role.VIEWER, password=PASSWORD)
    for number in range(MAX_OF_SOURCE):
        attempt(f"name-{number}")
        if number % 4 == 0 and number:
            attempt("mole", PASSWORD)
    assert attempt("boss", PASSWORD).status_code == 429


def test_failures_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(MAX_OF_PAIR):
        attempt("boss")
    later(monkeypatch, WINDOW + 1)
    assert attempt("boss", PASSWORD).status_code == 302
    assert attempt("other").status_code == 200
    assert FailedLogin.objects.count() == 3  # those of the last one


def test_an_attempt_while_stopped_does_not_prolong_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(MAX_OF_PAIR):
        attempt("boss")
    later(monkeypatch, WINDOW - 10)
    assert attempt("boss").status_code == 429
    later(monkeypatch, 20)
    assert attempt("boss", PASSWORD).status_code == 302


def test_no_name_and_no_source_is_stored_in_the_clear() -> None:
    attempt("hunter2-typed-into-the-wrong-field")
    assert {len(row.key) for row in FailedLogin.objects.all()} == {64}


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [("/console/calls/x/", "/console/calls/x/"), ("https://evil.example/", "/console/"), ("//evil.example", "/console/")],
)
def test_it_leads_to_our_pages_only(asked: str, leads_to: str) -> None:
    assert attempt("boss", PASSWORD, next=asked)["Location"] == leads_to


def test_who_is_no_operator_or_not_active_stays_outside() -> None:
    made("gone", Role.ADMIN, is_active=False, password=PASSWORD)
    assert attempt("gone", PASSWORD).status_code == 200
