"""Bans in the database, and in the console."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from voiceapps.models import AuditEntry, Ban
from voiceapps.rules.bans import BanReason
from voiceapps.rules.reports import SourceBanned
from voiceapps.selectors import active_bans
from voiceapps.services import bans
from voiceapps.services.audit import Actor
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

SOURCE = "203.0.113.9"
ACTOR = Actor("test")
LIST = "admin:voiceapps_ban_changelist"


def reported(seconds: float, *, source_ip: str = SOURCE, reason: BanReason = BanReason.WRONG_PASSWORD, ago: float = 0.0) -> SourceBanned:
    now = time.time() - ago
    return SourceBanned(source_ip, reason, "sipproxy-one", now, now + seconds)


def test_a_proxys_ban_survives_a_round_trip() -> None:
    record = reported(600.0)
    write_reports([record])
    (found,) = active_bans()
    assert (found.source_ip, found.reason, found.node) == (record.source_ip, record.reason, record.node)
    assert abs(found.at - record.at) + abs(found.until - record.until) < 0.001


def test_a_shorter_ban_does_not_replace_a_longer_one() -> None:
    bans.place(SOURCE, 60, actor=ACTOR)
    write_reports([reported(30.0, reason=BanReason.FLOOD)])
    assert [ban.reason for ban in active_bans()] == [BanReason.OPERATOR]
    write_reports([reported(86_400.0)])
    assert [ban.reason for ban in active_bans()] == [BanReason.WRONG_PASSWORD]
    assert Ban.objects.count() == 1


def test_an_expired_ban_is_inactive_and_is_deleted_after_a_day() -> None:
    write_reports([reported(30.0, source_ip="203.0.113.1", ago=86_500.0), reported(30.0, source_ip="203.0.113.2", ago=60.0)])
    assert active_bans() == ()
    write_reports([reported(30.0)])
    assert set(Ban.objects.values_list("source_ip", flat=True)) == {"203.0.113.2", SOURCE}


def test_of_too_many_bans_the_longest_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceapps.selectors.MAX_ACTIVE_BANS", 2)
    write_reports([reported(600.0 + number, source_ip=f"203.0.113.{number}") for number in range(4)])
    assert [ban.source_ip for ban in active_bans()] == ["203.0.113.3", "203.0.113.2"]


def test_placing_and_lifting_are_audited() -> None:
    row = bans.place(SOURCE, 10, actor=ACTOR)
    assert timedelta(minutes=9) < row.expires_at - timezone.now() <= timedelta(minutes=10)
    bans.lift(row, actor=ACTOR)
    bans.lift(row, actor=ACTOR)
    assert active_bans() == ()
    entries = AuditEntry.objects.order_by("number").values_list("actor", "action", "subject", "changes")
    assert list(entries) == [("test", "ban.place", SOURCE, {"minutes": 10}), ("test", "ban.lift", SOURCE, {"reason": "operator"})]


@pytest.mark.parametrize(
    ("source_ip", "minutes", "field"),
    [
        ("", 1, "source_ip"),
        ("203.0.113.0/24", 1, "source_ip"),
        ("::1", 1, "source_ip"),
        (SOURCE, 0, "minutes"),
        (SOURCE, 43_201, "minutes"),
    ],
)
def test_an_invalid_ban_names_the_field(source_ip: str, minutes: int, field: str) -> None:
    with pytest.raises(ValidationError) as error:
        bans.place(source_ip, minutes, actor=ACTOR)
    assert set(error.value.message_dict) == {field}
    assert not Ban.objects.exists()


@override_settings(GUARD_TRUSTED=("203.0.113.0/24",))
def test_a_trusted_source_cannot_be_banned() -> None:
    with pytest.raises(ValidationError, match="SIPURI_GUARD_TRUSTED"):
        bans.place(SOURCE, 1, actor=ACTOR)


# The console.


def console(*permissions: str, superuser: bool = False) -> Client:
    user = User.objects.create(username="op", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def lift(client: Client, *sources: str) -> int:
    return client.post(reverse(LIST), {"action": "lift", "_selected_action": sources}).status_code


def place(client: Client, source_ip: str = SOURCE, minutes: str = "15") -> int:
    return client.post(reverse("admin:voiceapps_ban_add"), {"source_ip": source_ip, "minutes": minutes}).status_code


def test_the_list_shows_source_reason_node_and_time() -> None:
    write_reports([reported(600.0), reported(30.0, source_ip="203.0.113.2", reason=BanReason.FLOOD, ago=60.0)])
    client = console("view_ban")
    text = client.get(reverse(LIST)).content.decode()
    for part in (SOURCE, "203.0.113.2", "wrong password", "flood", "sipproxy-one", "in force", "over"):
        assert part in text, part
    filtered = client.get(reverse(LIST), {"reason__exact": "flood"}).content.decode()
    assert "203.0.113.2" in filtered
    assert SOURCE not in filtered


def test_an_operator_lifts_a_ban() -> None:
    write_reports([reported(600.0)])
    assert lift(console(superuser=True), SOURCE) == 302
    assert active_bans() == ()
    assert AuditEntry.objects.get(action="ban.lift").actor == "operator op"


def test_an_operator_places_a_ban_and_replaces_it() -> None:
    client = console(superuser=True)
    assert [place(client), place(client, minutes="30")] == [302, 302]
    (ban,) = active_bans()
    assert (ban.reason, ban.node, round((ban.until - ban.at) / 60)) == (BanReason.OPERATOR, "", 30)
    assert [entry.actor for entry in AuditEntry.objects.filter(action="ban.place")] == ["operator op"] * 2


@pytest.mark.parametrize(("source_ip", "minutes"), [("nowhere", "5"), (SOURCE, "0"), (SOURCE, ""), ("", "5")])
def test_an_invalid_form_is_shown_again(source_ip: str, minutes: str) -> None:
    assert place(console(superuser=True), source_ip, minutes) == 200
    assert not Ban.objects.exists()


def test_view_permission_alone_allows_no_change() -> None:
    write_reports([reported(600.0)])
    client = console("view_ban")
    assert "Lift" not in client.get(reverse(LIST)).content.decode()
    lift(client, SOURCE)
    assert place(client, "203.0.113.10") == 403
    page = reverse("admin:voiceapps_ban_change", args=[SOURCE])
    assert client.get(page).status_code == 200
    assert client.post(page, {"source_ip": SOURCE, "minutes": "1"}).status_code == 403
    assert client.post(reverse("admin:voiceapps_ban_delete", args=[SOURCE]), {"post": "yes"}).status_code == 403
    assert len(active_bans()) == 1


def test_a_ban_cannot_be_deleted_without_an_audit_entry() -> None:
    write_reports([reported(600.0)])
    client = console(superuser=True)
    client.post(reverse(LIST), {"action": "delete_selected", "_selected_action": [SOURCE], "post": "yes"})
    assert client.post(reverse("admin:voiceapps_ban_delete", args=[SOURCE]), {"post": "yes"}).status_code == 403
    assert len(active_bans()) == 1
