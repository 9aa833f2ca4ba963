"""What is read of the figures of minutes: an hour by one query, a day by three, of one account or of all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import application, ended, facts
from voiceapps.models import FailingHost, VoiceApplication
from voiceapps.reads.figures import CallPoint, WebhookFigures, day_figures, live_figures
from voiceapps.rules.admission import Reason
from voiceapps.rules.bans import BanReason
from voiceapps.rules.diagnosis.attention import NodeFact, Unheard
from voiceapps.rules.diagnosis.histogram import BUCKETS
from voiceapps.rules.diagnosis.traffic import Traffic
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import CallAdmitted, CallAnswered, MediaReport, NodeBeat, RefusalSeen, SourceBanned, WebhookFetched
from voiceapps.services.figures import minutes
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 30, 12, 7, 30, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60


def at(ago: float) -> float:
    """Return a time so many minutes ago."""
    return NOW.timestamp() - 60 * ago


def call(app: VoiceApplication, number: int, ago: float) -> None:
    begun = replace(facts(app, number), started_at=at(ago))
    write_reports([CallAdmitted(begun, "proxy"), CallAnswered(begun, "callflow", at(ago) + 1)])
    if number % 2:
        write_reports([ended(begun, at=at(ago) + 11, answered_at=at(ago) + 1)])


@pytest.fixture
def app() -> VoiceApplication:
    return application()


@pytest.fixture
def filled(app: VoiceApplication) -> VoiceApplication:
    """Two calls of an hour, one of the day, one of the day before, and everything else of another account."""
    others = application("9911111")
    for number, (row, ago) in enumerate([(app, 3), (app, 3), (app, 90), (app, 1500), (others, 3)]):
        call(row, number, ago)
    for owner, reason in ((str(app.pk), Reason.DISABLED), (str(others.pk), Reason.DIGEST_WRONG), (None, Reason.UNKNOWN_APPLICATION)):
        write_reports([RefusalSeen(owner, "198.51.100.1", reason, 401, 2, at(5), at(5), None, "", "", "", ())])
    begun = replace(facts(others, 4), started_at=at(3))
    write_reports([WebhookFetched(begun, "gather", at(2), "https://a.example/", "POST", "{}", 500, "", 30, None)])
    minutes.roll_up()
    return app


def test_the_hour_of_an_account(filled: VoiceApplication) -> None:
    live = live_figures(filled.account_id, NOW)
    assert live.minute == MINUTE
    assert sorted(live.calls, key=lambda point: point.end_reason) == [
        CallPoint(MINUTE - 3, "", Traffic(1, 1, 1, 0, 0)),
        CallPoint(MINUTE - 3, "caller_hangup", Traffic(1, 1, 1, 1, 10_000)),
    ]
    assert live.setups == (0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0)
    assert [(point.minute, point.reason, point.attempts) for point in live.refusals] == [(MINUTE - 5, Reason.DISABLED, 2)]
    assert live.webhooks == ()
    assert live.open_calls == 2  # one of the last hour, and one of a day ago that nobody has ended


def test_the_hour_of_all(filled: VoiceApplication) -> None:
    live = live_figures(None, NOW)
    assert sum(point.traffic.calls for point in live.calls) == 3
    assert {point.reason for point in live.refusals} == {Reason.DISABLED, Reason.DIGEST_WRONG, Reason.UNKNOWN_APPLICATION}
    assert live.webhooks == (WebhookFigures("gather", 1, 1, (0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)),)
    assert live.open_calls == 3


def test_the_day_is_in_quarters(filled: VoiceApplication) -> None:
    day = day_figures(filled.account_id, NOW)
    assert day.quarter == MINUTE - 7
    assert sorted((day.quarter - point.minute, point.traffic.calls) for point in day.calls) == [(0, 1), (0, 1), (90, 1)]
    assert day.refusals == {Reason.DISABLED: 2}
    assert day_figures(None, NOW).refusals[Reason.UNKNOWN_APPLICATION] == 2
    assert [one.event_type for one in day_figures(None, NOW).webhooks] == ["gather"]


def test_what_is_up_now(app: VoiceApplication) -> None:
    beat = NodeBeat("mediarelay", "relay", at(0) - 1, "up", "", "", 7, "", ports_used=3, ports_total=9)
    gone = replace(beat, name="gone", at=at(2000))
    write_reports([beat, gone, SourceBanned("198.51.100.9", BanReason.FLOOD, "proxy", at(1), at(-5))])
    for host, rests in (("b.example:443", True), ("a.example:443", True), ("fails.example:443", False)):
        FailingHost.objects.create(
            account_id=app.account_id, host=host, failures=9, since=NOW, last_at=NOW, error="", rests_until=NOW if rests else None
        )
    live = live_figures(None, NOW)
    assert [replace(node, health="") for node in live.nodes] == [NodeFact("relay", "mediarelay", "", 1.0, 7, 3, 9)]
    assert live.bans == 1
    assert (live.resting_hosts, live.resting_host) == (2, "a.example:443")
    assert live_figures("9911111", NOW).resting_hosts == 0


def test_calls_in_which_a_side_was_not_heard_are_counted_by_application(app: VoiceApplication) -> None:
    others = application("9911111", name="Others")
    silent = MediaFigures("external", 0, 0, 500, 0, 0.0, None, None, 0, "kernel", 0, "", "")
    for number, (row, ago) in enumerate([(app, 3), (app, 50), (app, 90), (others, 3)]):
        begun = replace(facts(row, number), started_at=at(ago))
        sides = [silent, replace(silent, side="internal", packets_in=500, packets_out=0)]
        write_reports([MediaReport(begun.call_id, "relay", at(ago), side, final=True) for side in sides])
        write_reports([ended(begun, at=at(ago) + 60, answered_at=at(ago) + 1)])
    call(app, 9, 5)
    assert live_figures("9900000", NOW).unheard == (Unheard(str(app.pk), "App", 2),)
    assert set(live_figures(None, NOW).unheard) == {Unheard(str(app.pk), "App", 2), Unheard(str(others.pk), "Others", 1)}


def test_the_state_of_a_node_is_what_all_see(app: VoiceApplication) -> None:
    now = datetime.now(UTC)
    beat = NodeBeat("callflow", "a", now.timestamp(), "draining", "", "", 7, "")
    write_reports([beat, replace(beat, name="b", at=(now - timedelta(minutes=5)).timestamp())])
    nodes = live_figures(None, now).nodes
    assert [(node.name, node.health) for node in nodes] == [("a", "draining"), ("b", "silent")]
    assert nodes[1].silent_seconds == pytest.approx(300, abs=1)


def test_nothing_has_figures_too() -> None:
    live = live_figures(None, NOW)
    assert (live.open_calls, live.bans, live.resting_host, live.calls, live.nodes) == (0, 0, "", (), ())
    assert live.setups == (0,) * BUCKETS
    assert day_figures("9900000", NOW).calls == ()


@pytest.mark.parametrize("account_id", [None, "9900000"])
def test_it_reads_short_ranges_by_few_queries(
    filled: VoiceApplication, account_id: str | None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        live_figures(account_id, NOW)
    with django_assert_num_queries(3):
        day_figures(account_id, NOW)
    with query_plans() as plans:
        live_figures(account_id, NOW)
        day_figures(account_id, NOW)
    steps = [step for plan in plans for step in plan.split("; ")]
    # Nodes, bans, hosts and open calls are few.
    assert [step for step in steps if step.startswith("SCAN") and "minute" in step] == []
    assert sum("account_id=?" in step and "minute>?" in step for step in steps) == 7
