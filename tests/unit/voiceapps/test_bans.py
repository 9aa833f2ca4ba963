"""Bans and trusted ranges in the database."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings
from django.utils import timezone

from voiceapps.models import AuditEntry, Ban, TrustedRange
from voiceapps.rules.bans import BanReason
from voiceapps.rules.reports import SourceBanned
from voiceapps.selectors import active_bans, source_rules
from voiceapps.services import bans
from voiceapps.services.audit import Actor
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

SOURCE = "203.0.113.9"
ACTOR = Actor("test")


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


def test_a_range_that_an_operator_trusts_cannot_be_banned_and_its_bans_are_lifted() -> None:
    write_reports([reported(600.0), reported(600.0, source_ip="198.51.100.1")])
    row = bans.trust("203.0.113.0/24", "the trunk", actor=ACTOR)
    found = source_rules()
    assert found.trusted == ("203.0.113.0/24",)
    assert [ban.source_ip for ban in found.bans] == ["198.51.100.1"]
    with pytest.raises(ValidationError, match="list of trusted ranges"):
        bans.place(SOURCE, 1, actor=ACTOR)
    bans.distrust(row, actor=ACTOR)
    bans.distrust(row, actor=ACTOR)
    assert source_rules().trusted == ()
    bans.place(SOURCE, 1, actor=ACTOR)
    entries = AuditEntry.objects.filter(action__startswith="source.").order_by("number").values_list("action", "subject", "changes")
    assert list(entries) == [
        ("source.trust", "203.0.113.0/24", {"note": "the trunk", "lifted": [SOURCE]}),
        ("source.distrust", "203.0.113.0/24", {"note": "the trunk"}),
    ]


def test_trusting_a_range_again_changes_whose_it_is() -> None:
    bans.trust("203.0.113.9", "one", actor=ACTOR)
    bans.trust("203.0.113.9/32", "two", actor=ACTOR)
    assert [(row.network, row.note) for row in TrustedRange.objects.all()] == [("203.0.113.9/32", "two")]


@pytest.mark.parametrize(
    ("network", "note", "field"),
    [
        ("", "", "network"),
        ("0.0.0.0/0", "", "network"),
        ("8.0.0.0/7", "", "network"),
        ("203.0.113.1/24", "", "network"),
        ("203.0.113.0/24", "x" * 201, "note"),
    ],
)
def test_a_range_that_cannot_be_trusted_names_the_field(network: str, note: str, field: str) -> None:
    with pytest.raises(ValidationError) as error:
        bans.trust(network, note, actor=ACTOR)
    assert set(error.value.message_dict) == {field}
    assert not TrustedRange.objects.exists()


def test_the_number_of_trusted_ranges_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans, "MAX_TRUSTED", 2)
    for number in (1, 2):
        bans.trust(f"203.0.113.{number}", "", actor=ACTOR)
    bans.trust("203.0.113.2", "again", actor=ACTOR)
    with pytest.raises(ValidationError, match="At most 2 ranges"):
        bans.trust("203.0.113.3", "", actor=ACTOR)
