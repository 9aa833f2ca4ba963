"""The page of security: sources by score with their evidence, bans, trusted ranges."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.models import AuditEntry, Ban, TrustedRange
from voiceapps.reads.refusal_report import refused_sources
from voiceapps.rules.admission import Reason
from voiceapps.rules.diagnosis.suspicion import judge
from voiceapps.rules.reports import RefusalSeen
from voiceapps.services import bans
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

SOURCE = "198.51.100.7"
EVIL = "<b>friendly-scanner</b>\u202e"


def seen(**changes: object) -> RefusalSeen:
    at = time.time() - 60
    told = RefusalSeen(None, SOURCE, Reason.DIGEST_WRONG, 401, 4, at, at, "DE", "user", "call@pbx", "PBX 1", ())
    return replace(told, **changes)  # type: ignore[arg-type]  # the names are those of its fields


def console(*permissions: str) -> Client:
    user = User.objects.create_user("op", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client) -> str:
    answer = client.get(reverse("console:security"))
    assert answer.status_code == 200
    return answer.content.decode()


def words(html: str) -> str:
    """Return the text of a page; some of a button's is for readers of screens alone."""
    return " ".join(re.sub(r"<[^>]*>", "", html).split())


def test_the_worst_source_comes_first_with_its_evidence(admin_client: Client) -> None:
    row = application()
    write_reports(
        [
            seen(source_ip="198.51.100.9", reason=Reason.IP_NOT_ALLOWED, application_id=str(row.pk)),
            seen(count=40),
            seen(reason=Reason.UNKNOWN_APPLICATION, user_agent=EVIL, count=2),
        ]
    )
    worst, other = sorted(refused_sources(timezone.now() - timedelta(hours=1)), key=lambda line: -line.attempts)
    assert (worst.source_ip, worst.attempts, dict(worst.counts)) == (SOURCE, 42, {Reason.DIGEST_WRONG: 40, Reason.UNKNOWN_APPLICATION: 2})
    assert (other.source_ip, other.attempts) == ("198.51.100.9", 4)
    text = page(admin_client)
    assert text.index(SOURCE) < text.index("198.51.100.9")
    assert "40 × digest wrong, 2 × unknown application, calls itself friendly-scanner" in text
    assert EVIL not in text


@pytest.mark.parametrize(
    ("counts", "agents", "word", "score"),
    [
        ({Reason.IP_NOT_ALLOWED: 500}, frozenset({"PBX"}), "stranger", 0),
        ({Reason.CAPACITY: 500}, frozenset(), "stranger", 0),
        ({Reason.DIGEST_WRONG: 2}, frozenset({"PBX"}), "stranger", 10),
        ({Reason.DIGEST_WRONG: 3}, frozenset({"PBX"}), "suspect", 15),
        ({Reason.DIGEST_WRONG: 20}, frozenset({"PBX"}), "scanner", 100),
        ({Reason.UNKNOWN_APPLICATION: 1}, frozenset({"Friendly-Scanner"}), "suspect", 53),
        ({Reason.FOREIGN_HOST: 17}, frozenset({"sipcli/v1.8"}), "scanner", 101),
    ],
)
def test_scores(counts: dict[Reason, int], agents: frozenset[str], word: str, score: int) -> None:
    found = judge(counts, agents, 1)
    assert (found.word, found.score) == (word, score)


def test_a_source_that_tries_many_applications_is_told() -> None:
    assert "7 applications" in judge({Reason.DIGEST_WRONG: 1}, frozenset(), 7).why
    assert "applications" not in judge({Reason.DIGEST_WRONG: 1}, frozenset(), 1).why


def test_a_source_is_banned_by_one_click_and_lifted(admin_client: Client) -> None:
    write_reports([seen()])
    assert f"Ban {SOURCE} for 60 min" in words(page(admin_client))
    admin_client.post(reverse("console:security_ban"), {"source_ip": SOURCE, "minutes": "60"})
    assert Ban.objects.get().source_ip == SOURCE
    text = page(admin_client)
    assert f"Ban {SOURCE} for" not in words(text)
    assert f"Lift the ban of {SOURCE}" in text
    admin_client.post(reverse("console:security_lift"), {"source_ip": SOURCE})
    assert not Ban.objects.exists()
    assert list(AuditEntry.objects.values_list("action", "actor")) == [("ban.lift", "operator admin"), ("ban.place", "operator admin")]
    assert admin_client.post(reverse("console:security_lift"), {"source_ip": SOURCE}).status_code == 404


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("security_ban", {"source_ip": "nowhere", "minutes": "5"}, "Write an IPv4 address"),
        ("security_ban", {"source_ip": SOURCE, "minutes": "0"}, "Write 1 to 43200 minutes."),
        ("security_ban", {"source_ip": SOURCE, "minutes": "9" * 30}, "Write 1 to 43200 minutes."),
        ("security_ban", {}, "Write an IPv4 address"),
        ("security_trust", {"network": "everybody", "note": "mine"}, "Write an IPv4 range"),
        ("security_trust", {"network": "0.0.0.0/0", "note": "mine"}, "everybody&#x27;s"),
    ],
)
def test_what_cannot_be_taken_is_shown_again_with_the_rule(admin_client: Client, name: str, form: dict[str, str], says: str) -> None:
    answer = admin_client.post(reverse(f"console:{name}"), form)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert says in text
    for value in form.values():
        assert f'value="{value}"' in text
    assert not Ban.objects.exists()
    assert not TrustedRange.objects.exists()


def test_a_range_is_trusted_and_trusted_no_longer(admin_client: Client, settings: Settings) -> None:
    settings.GUARD_TRUSTED = ("192.0.2.0/24",)
    write_reports([seen()])
    admin_client.post(reverse("console:security_trust"), {"network": "198.51.100.0/24", "note": EVIL})
    text = page(admin_client)
    assert "192.0.2.0/24" in text
    assert EVIL not in text
    assert f"Ban {SOURCE}" not in words(text)
    admin_client.post(reverse("console:security_distrust"), {"network": "198.51.100.0/24"})
    assert not TrustedRange.objects.exists()
    assert f"Ban {SOURCE}" in words(page(admin_client))


def test_who_may_only_look_changes_nothing() -> None:
    bans.place("203.0.113.9", 5, actor=ACTOR)
    write_reports([seen()])
    client = console("view_ban")
    text = page(client)
    for button in ("Lift the ban", f"Ban {SOURCE}", ">Trust<"):
        assert button not in text
    for name in ("ban", "lift", "trust", "distrust"):
        assert client.post(reverse(f"console:security_{name}"), {"source_ip": "203.0.113.9"}).status_code == 403
    assert Ban.objects.count() == 1


def test_the_page_asks_few_questions(admin_client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    write_reports([seen(source_ip=f"198.51.100.{number}") for number in range(60)])
    page(admin_client)
    with django_assert_num_queries(5):  # session, user, bans, ranges, refused attempts
        assert "10 more with lower scores" in page(admin_client)
