"""Rows of refused attempts: counted by minute, bounded in number, deleted in time, and short."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from pytest_django import DjangoAssertNumQueries, Settings

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import STARTED, application
from voiceapps import tasks
from voiceapps.models import RefusedAttempt
from voiceapps.rules.admission import DigestState, Reason, RequestFacts, RuleResult, decide
from voiceapps.rules.reports import RefusalSeen
from voiceapps.services import refusals
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

SEEN = RefusalSeen(None, "198.51.100.1", Reason.UNKNOWN_APPLICATION, 401, 1, STARTED, STARTED, "US", "user", "call@pbx", "PBX 1", ())
DAY = 86_400


def strangers(many: int, **changes: Any) -> list[RefusalSeen]:
    return [replace(SEEN, source_ip=str(IPv4Address("203.0.113.0") + number), **changes) for number in range(many)]


def rows(*columns: str) -> list[tuple[Any, ...]]:
    return list(RefusedAttempt.objects.order_by("first_at", "pk").values_list(*columns))


def attempts() -> int:
    total: int = RefusedAttempt.objects.aggregate(total=Sum("count"))["total"]
    return total


def test_attempts_of_one_source_in_one_minute_are_one_row() -> None:
    write_reports([replace(SEEN, count=2), replace(SEEN, first_at=STARTED + 1, last_at=STARTED + 2, user_agent="later")])
    write_reports([replace(SEEN, first_at=STARTED + 30, last_at=STARTED + 31, count=4)])
    assert rows("count", "source_ip", "user_agent") == [(7, "198.51.100.1", "PBX 1")]
    row = RefusedAttempt.objects.get()
    assert (row.first_at, row.last_at) == (datetime.fromtimestamp(STARTED, UTC), datetime.fromtimestamp(STARTED + 31, UTC))


def test_what_differs_in_application_reason_source_or_minute_is_another_row() -> None:
    own = replace(SEEN, application_id=str(application().pk))
    others = [own, replace(SEEN, reason=Reason.DISABLED), replace(SEEN, source_ip="198.51.100.2"), replace(SEEN, first_at=STARTED + 60)]
    write_reports([SEEN, *others])
    write_reports([SEEN, *others])
    assert [count for (count,) in rows("count")] == [2] * 5


def test_sources_beyond_the_cap_share_one_row_and_no_attempt_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_SOURCES", 3)
    write_reports(strangers(2))
    write_reports(strangers(10))
    write_reports(strangers(10, count=5))
    assert rows("source_ip", "country", "count") == [
        ("203.0.113.0", "US", 7),
        ("203.0.113.1", "US", 7),
        (None, "", 7 * 6),
        ("203.0.113.2", "US", 6),
    ]
    assert attempts() == 2 + 10 + 50


def test_a_flood_adds_a_bounded_number_of_rows() -> None:
    for _ in range(3):
        write_reports(strangers(500))
    assert (RefusedAttempt.objects.count(), attempts()) == (refusals.MAX_SOURCES + 1, 1_500)


def test_a_flood_on_one_application_takes_no_room_from_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_SOURCES", 1)
    mine = application()
    write_reports([*strangers(5), replace(SEEN, application_id=str(mine.pk)), replace(SEEN, reason=Reason.CAPACITY)])
    assert list(RefusedAttempt.objects.filter(application=mine).values_list("source_ip", flat=True)) == ["198.51.100.1"]
    assert RefusedAttempt.objects.get(reason="capacity").source_ip == "198.51.100.1"


def test_attempts_whose_source_was_not_kept_are_counted() -> None:
    write_reports([SEEN, replace(SEEN, source_ip="", count=9)])
    write_reports([replace(SEEN, source_ip="", count=1)])
    assert sorted(rows("count", "source_ip")) == [(1, "198.51.100.1"), (10, None)]


def test_rows_outlive_their_application() -> None:
    row = application()
    write_reports([SEEN, replace(SEEN, application_id=str(row.pk))])
    row.delete()
    write_reports([SEEN])
    assert sorted(rows("count", "application")) == [(1, None), (2, None)]


def test_a_batch_costs_three_queries_whatever_it_holds(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    # Which sources are named, the rows, and the minutes that are to be counted again.
    with django_assert_max_num_queries(3):
        refusals.add(strangers(500))
    with query_plans() as plans:
        refusals.add([*strangers(3), replace(SEEN, reason=Reason.CAPACITY)])
    assert len(plans) == 1
    assert "SCAN" not in plans[0]
    # And the accounts of the applications, where some are called.
    own = application()
    with django_assert_max_num_queries(4):
        refusals.add(strangers(500, application_id=str(own.pk)))
    assert set(RefusedAttempt.objects.filter(application=own).values_list("account_id", flat=True)) == {"9900000"}
    assert plans[0].count("USING INDEX") + plans[0].count("USING COVERING INDEX") == 2


def test_old_rows_are_deleted_in_small_batches(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(refusals, "SWEPT_AT_ONCE", 2)
    now = time.time()
    for days in (40, 31, 31, 30.1, 29.9, 1):
        at = now - days * DAY
        write_reports([replace(SEEN, first_at=at, last_at=at, user_agent=str(days), source_ip=f"198.51.100.{int(days * 6) % 256}")])
    settings.REFUSAL_STORE_DAYS = 30
    with query_plans() as plans:
        tasks.sweep_refusals()
    assert sorted(rows("user_agent")) == [("1",), ("29.9",)]
    assert not any("TEMP B-TREE" in plan or plan.startswith("SCAN voiceapps_refusedattempt;") for plan in plans), plans


def test_the_oldest_rows_go_where_an_application_has_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_ROWS", 3)
    monkeypatch.setattr(refusals, "SWEPT_AT_ONCE", 2)
    mine = application()
    now = time.time()
    for number in range(8):
        at = now - number * 300
        write_reports([replace(SEEN, first_at=at, last_at=at, user_agent=str(number))])
    write_reports([replace(SEEN, application_id=str(mine.pk), first_at=now - DAY, last_at=now - DAY)])
    assert refusals.sweep(timedelta(days=30)) == 5
    left = RefusedAttempt.objects.filter(application=None).values_list("user_agent", flat=True)
    assert sorted(left) == ["0", "1", "2"]
    assert RefusedAttempt.objects.filter(application=mine).count() == 1
    assert refusals.sweep(timedelta(days=30)) == 0


def refused(user: str) -> RefusalSeen:
    facts = RequestFacts("a.example", True, user, user, "203.0.113.9", "US", DigestState.ABSENT, source_limited=False)
    decision = decide(facts, request_application=None, to_application=None)
    return replace(SEEN, request_user=user, trace=decision.trace)


def stored(column: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM voiceapps_refusedattempt")  # noqa: S608  # our own names
        (text,) = cursor.fetchone()
    return str(text)


def test_a_trace_is_stored_short_and_read_whole() -> None:
    seen = refused("15f99d57-f823-4718-80cc-5d95d5b83e59")
    write_reports([seen])
    trace = RefusedAttempt.objects.get().trace
    assert trace == [asdict(result) for result in seen.trace]
    assert len(stored("trace")) < 300


def test_what_a_peer_sent_does_not_swell_a_trace() -> None:
    write_reports([refused("x" * 8_000)])
    trace = {result["rule"]: result for result in RefusedAttempt.objects.get().trace}
    assert trace["application"]["seen"] == "x" * 127 + "…"
    assert len(stored("trace")) < 600


def test_what_a_rule_expects_is_kept_where_it_is_of_the_application() -> None:
    ranges = ", ".join(f"203.0.113.{number}/32" for number in range(25))
    trace = (RuleResult("source_ip", "failed", ranges, "198.51.100.1"), RuleResult("capacity", "skipped", "room for one more call", ""))
    write_reports([replace(SEEN, trace=trace)])
    assert RefusedAttempt.objects.get().trace == [asdict(result) for result in trace]
