"""The figures of minutes: computed from rows, by whoever and how often, and again when something of a minute is written late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import STARTED, application, attempted, ended, facts
from voiceapps import tasks
from voiceapps.choices import FigureKind
from voiceapps.models import Call, CallMinute, RefusalMinute, TouchedMinute, VoiceApplication, WebhookDelivery, WebhookMinute
from voiceapps.models.figures import ALL_ACCOUNTS, ALL_APPLICATIONS, BUCKET_NAMES, NO_APPLICATION
from voiceapps.rules.admission import Reason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.reports import CallAdmitted, CallAnswered, RefusalSeen, WebhookFetched
from voiceapps.services.figures import marks, minutes
from voiceapps.services.figures.marks import minute_of
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

MINUTE = minute_of(STARTED)


@pytest.fixture
def app() -> VoiceApplication:
    return application()


def rows(table: type[Any], *names: str) -> list[tuple[Any, ...]]:
    """Return the rows of accounts without those of sums."""
    parts = (
        table.objects.exclude(account_id=ALL_ACCOUNTS) if table is WebhookMinute else table.objects.exclude(application_id=ALL_APPLICATIONS)
    )
    return list(parts.order_by("minute", *names).values_list("minute", *names))


def calls() -> list[tuple[Any, ...]]:
    return rows(CallMinute, "end_reason", "calls", "answered", "talked", "talk_ms")


def refused(app: VoiceApplication | None, source: str, reason: Reason, count: int, at: float = STARTED) -> RefusalSeen:
    return RefusalSeen(str(app.pk) if app else None, source, reason, 401, count, at, at, "DE", "x", "y", "z", ())


def fetched(app: VoiceApplication, at: float, status: int | None, latency_ms: int, event: str = "initiate") -> WebhookFetched:
    return WebhookFetched(facts(app), event, at, "https://a.example/", "POST", "{}", status, "", latency_ms, None if status else "Gone.")


def test_calls_are_counted_by_what_ended_them(app: VoiceApplication) -> None:
    first, second, third = facts(app, 1), facts(app, 2), facts(app, 3)
    write_reports([CallAdmitted(call, "proxy") for call in (first, second, third)])
    write_reports([CallAnswered(first, "callflow", STARTED + 2), ended(first)])
    write_reports([ended(second, answered_at=None, reason=EndReason.CALLER_CANCELLED)])
    assert minutes.roll_up() == 1
    assert calls() == [
        (MINUTE, "", 1, 0, 0, 0),
        (MINUTE, "caller_cancelled", 1, 0, 0, 0),
        (MINUTE, "caller_hangup", 1, 1, 1, 8000),
    ]
    row = CallMinute.objects.get(end_reason="caller_hangup", application_id=app.pk)
    assert (row.account_id, row.application_id) == (app.account_id, app.pk)
    # 2 s from INVITE to answer are in the bucket that ends there.
    assert [getattr(row, name) for name in BUCKET_NAMES] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_a_second_run_changes_nothing(app: VoiceApplication) -> None:
    write_reports([CallAdmitted(facts(app), "proxy"), ended(facts(app)), refused(app, "198.51.100.1", Reason.DISABLED, 2)])
    minutes.roll_up()
    before = calls()
    assert minutes.roll_up() == 0
    for kind in FigureKind:
        marks.touch(kind, [STARTED])
    assert minutes.roll_up() == 3
    assert calls() == before
    assert rows(RefusalMinute, "attempts") == [(MINUTE, 2)]
    assert not TouchedMinute.objects.exists()


def test_a_late_end_is_found(app: VoiceApplication) -> None:
    call = facts(app)
    write_reports([CallAdmitted(call, "proxy"), CallAnswered(call, "callflow", STARTED + 2)])
    minutes.roll_up()
    assert calls() == [(MINUTE, "", 1, 1, 0, 0)]
    write_reports([ended(call, at=STARTED + 7202)])
    assert minutes.roll_up() == 1
    assert calls() == [(MINUTE, "caller_hangup", 1, 1, 1, 7_200_000)]


def test_the_true_end_takes_the_place_of_the_guess(app: VoiceApplication) -> None:
    call = facts(app)
    write_reports([CallAdmitted(call, "proxy"), ended(call, reason=EndReason.NODE_LOST)])
    minutes.roll_up()
    write_reports([ended(call)])
    minutes.roll_up()
    assert [row[1] for row in calls()] == ["caller_hangup"]


def test_what_is_written_meanwhile_is_counted_by_the_next_run(app: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports([CallAdmitted(facts(app), "proxy")])
    table, count = minutes._COUNTED[FigureKind.CALLS]

    def count_slowly(minute: int) -> Any:
        counted = count(minute)
        write_reports([CallAdmitted(facts(app, 2), "proxy")])
        return counted

    monkeypatch.setitem(minutes._COUNTED, FigureKind.CALLS, (table, count_slowly))
    minutes.roll_up()
    monkeypatch.setitem(minutes._COUNTED, FigureKind.CALLS, (table, count))
    assert calls() == [(MINUTE, "", 1, 0, 0, 0)]
    assert minutes.roll_up() == 1
    assert calls() == [(MINUTE, "", 2, 0, 0, 0)]


def test_clocks_that_differ_make_no_negative_talk(app: VoiceApplication) -> None:
    write_reports([ended(facts(app), at=STARTED + 1, answered_at=STARTED + 2)])
    minutes.roll_up()
    assert calls() == [(MINUTE, "caller_hangup", 1, 1, 1, 0)]


def test_a_call_at_the_edge_of_a_minute_is_in_one_of_the_marked(app: VoiceApplication) -> None:
    edge = (MINUTE + 1) * 60.0
    write_reports([CallAdmitted(replace(facts(app), started_at=edge - 0.0002), "proxy")])
    minutes.roll_up()
    # The call flow knows the beginning in whole milliseconds.
    write_reports([ended(replace(facts(app), started_at=edge))])
    minutes.roll_up()
    assert [row[:2] for row in calls()] == [(MINUTE, "caller_hangup")]


def test_calls_of_an_application_that_is_gone_are_counted(app: VoiceApplication) -> None:
    write_reports([CallAdmitted(facts(app), "proxy")])
    Call.objects.update(application=None)
    minutes.roll_up()
    minutes.roll_up()
    assert rows(CallMinute, "application_id", "calls") == [(MINUTE, NO_APPLICATION, 1)]


def test_refusals_are_counted_by_application_and_reason(app: VoiceApplication) -> None:
    write_reports(
        [
            refused(app, "198.51.100.1", Reason.IP_NOT_ALLOWED, 3),
            refused(app, "198.51.100.2", Reason.IP_NOT_ALLOWED, 4),
            refused(None, "198.51.100.2", Reason.UNKNOWN_APPLICATION, 5, STARTED + 60),
        ]
    )
    minutes.roll_up()
    assert rows(RefusalMinute, "account_id", "application_id", "reason", "attempts") == [
        (MINUTE, app.account_id, app.pk, "ip_not_allowed", 7),
        (MINUTE + 1, "", NO_APPLICATION, "unknown_application", 5),
    ]


def test_requests_of_webhooks_are_counted_by_event(app: VoiceApplication) -> None:
    write_reports([fetched(app, STARTED, 200, 15), fetched(app, STARTED + 1, 500, 150), fetched(app, STARTED + 2, None, 25_000)])
    minutes.roll_up()
    assert rows(WebhookMinute, "event_type", "attempts", "failures") == [(MINUTE, "initiate", 3, 2)]
    assert [getattr(WebhookMinute.objects.exclude(account_id=ALL_ACCOUNTS).get(), name) for name in BUCKET_NAMES] == [
        1,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
    ]


def test_sums_are_rows_of_their_own(app: VoiceApplication) -> None:
    own, others = application(), application("9911111")
    write_reports([CallAdmitted(facts(row, number), "proxy") for number, row in enumerate((app, app, own, others))])
    write_reports([refused(None, "198.51.100.1", Reason.UNKNOWN_APPLICATION, 2), refused(app, "198.51.100.1", Reason.DISABLED, 3)])
    write_reports([replace(fetched(row, STARTED, 200, 15), call=facts(row, 9 + number)) for number, row in enumerate((app, others))])
    minutes.roll_up()
    by_owner = {(row.account_id, row.application_id): row.calls for row in CallMinute.objects.all()}
    assert by_owner[ALL_ACCOUNTS, ALL_APPLICATIONS] == 6
    assert by_owner["9900000", ALL_APPLICATIONS] == 4
    assert by_owner["9911111", ALL_APPLICATIONS] == by_owner["9911111", others.pk] == 2
    assert (by_owner["9900000", app.pk], by_owner["9900000", own.pk]) == (3, 1)
    sums = RefusalMinute.objects.filter(account_id=ALL_ACCOUNTS, application_id=ALL_APPLICATIONS)
    assert sorted(sums.values_list("reason", "attempts")) == [("disabled", 3), ("unknown_application", 2)]
    assert dict(WebhookMinute.objects.values_list("account_id", "attempts")) == {ALL_ACCOUNTS: 2, "9900000": 1, "9911111": 1}


def test_attempts_of_deliveries_are_counted(app: VoiceApplication) -> None:
    write_reports([CallAdmitted(facts(app), "proxy"), ended(facts(app))])
    attempted(WebhookDelivery.objects.get(), OutboundAnswer(503, b"", "", 40, None))
    minutes.roll_up()
    assert [row[1:] for row in rows(WebhookMinute, "event_type", "attempts", "failures")] == [("disconnect", 1, 1)]


def test_only_so_many_minutes_are_computed_at_once_and_the_newest_first(app: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minutes, "MAX_AT_ONCE", 2)
    write_reports([CallAdmitted(replace(facts(app, number), started_at=STARTED + 60 * number), "proxy") for number in range(3)])
    assert minutes.roll_up() == 2
    assert [row[0] for row in calls()] == [MINUTE + 1, MINUTE + 2]
    assert minutes.roll_up() == 1


@pytest.mark.parametrize("seed", [lambda app: CallAdmitted(facts(app), "p"), lambda app: fetched(app, STARTED, 200, 1)])
def test_no_table_is_scanned(app: VoiceApplication, seed: Callable[[VoiceApplication], Any]) -> None:
    write_reports([seed(app), refused(app, "198.51.100.1", Reason.DISABLED, 1)])
    with query_plans() as plans:
        minutes.roll_up()
    steps = [step for plan in plans for step in plan.split("; ") if "touchedminute" not in step]
    assert steps
    assert [step for step in steps if step.startswith("SCAN")] == []


def test_old_minutes_are_swept(app: VoiceApplication, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FIGURE_STORE_DAYS = 90
    monkeypatch.setattr(minutes, "SWEPT_AT_ONCE", 1)
    old, young = (timezone.now() - timedelta(days=days) for days in (91, 89))
    for at in (old, young):
        call = replace(facts(app, at.day), started_at=at.timestamp())
        seconds = at.timestamp()
        refusal = refused(app, "198.51.100.1", Reason.DISABLED, 1, seconds)
        write_reports([CallAdmitted(call, "p"), refusal, fetched(app, seconds, 200, 1)])
    tasks.roll_up()
    tasks.sweep_figures()
    for table in (CallMinute, RefusalMinute, WebhookMinute):
        assert {row.minute for row in table.objects.all()} == {minute_of(young.timestamp())}


def test_minutes_are_those_of_the_stored_time() -> None:
    just_before = 1_700_000_040 - 0.0000001
    stored = datetime.fromtimestamp(just_before, UTC)
    assert minute_of(just_before) == int(stored.timestamp()) // 60
