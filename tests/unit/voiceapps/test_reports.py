"""Reports of daemons become rows, in any order and at most once."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from bandwidth.models import DisconnectCallback
from django.db import IntegrityError
from pytest_django import DjangoAssertNumQueries, Settings

from tests.unit.voiceapps.builders import STARTED, application, ended, facts
from voiceapps import tasks
from voiceapps.models import (
    Call,
    CallEvent,
    MediaLeg,
    Node,
    OpenCall,
    RefusedAttempt,
    TaskLease,
    VoiceApplication,
    WebhookAttempt,
    WebhookDelivery,
)
from voiceapps.reads import call_report as module
from voiceapps.reads.call_report import call_report
from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import (
    CallAdmitted,
    CallAnswered,
    CallFacts,
    CallForwarded,
    CallHungUp,
    LadderMessage,
    MediaNotice,
    MediaReport,
    NodeBeat,
    RefusalSeen,
    WebhookFetched,
)
from voiceapps.selectors import node_pool
from voiceapps.services import calls, open_calls
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db


def test_a_call_is_admitted_answered_and_ended() -> None:
    call = facts(application())
    write_reports([CallAdmitted(call, "proxy-1"), CallAnswered(call, "callflow-1", STARTED + 2), ended(call)])
    row = Call.objects.get()
    assert (row.state, row.end_class, row.end_reason) == ("disconnected", "success", "caller_hangup")
    assert (row.proxy_node, row.callflow_node) == ("proxy-1", "callflow-1")
    assert row.duration_seconds == 8.0


def test_the_order_of_two_daemons_does_not_matter() -> None:
    call = facts(application())
    write_reports([ended(call)])
    write_reports([CallAnswered(call, "callflow-1", STARTED + 2)])
    write_reports([CallAdmitted(call, "proxy-1")])
    assert Call.objects.get().state == "disconnected"


def test_answers_in_bulk_count_once_and_reach_no_call_that_has_ended(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    row = application()
    new, rings, up, over, *others = (facts(row, number) for number in range(9))
    write_reports([CallAdmitted(call, "proxy-1") for call in (rings, up, over, *others)])
    write_reports([CallAnswered(up, "callflow-1", STARTED + 1), ended(over)])
    answers = [CallAnswered(call, "callflow-2", STARTED + 2) for call in (new, rings, rings, up, over, *others)]
    # Locking, creating what is missing and locking it, the answers, their holders, and the minutes that are to be counted again: whatever
    # the number of calls.
    with django_assert_max_num_queries(6):
        write_reports(answers)
    rows = {row.call_id: row for row in Call.objects.all()}
    assert [rows[call.call_id].callflow_node for call in (new, rings, up, over)] == ["callflow-2", "callflow-2", "callflow-1", ""]
    assert rows[over.call_id].state == "disconnected"
    assert OpenCall.objects.filter(callflow_node="callflow-2").count() == 2 + len(others)


def test_the_first_end_wins_and_its_webhook_is_one_row() -> None:
    call = facts(application())
    write_reports([ended(call)])
    write_reports([ended(call, reason=EndReason.NODE_LOST)])
    assert Call.objects.get().end_reason == "caller_hangup"
    body = WebhookDelivery.objects.get(event_type="disconnect").body
    assert body["cause"] == "hangup"
    model = DisconnectCallback.from_dict(body)
    assert model is not None
    assert model.additional_properties == {}


def test_without_a_status_url_there_is_no_webhook() -> None:
    write_reports([ended(facts(application(status_url="")))])
    assert not WebhookDelivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_written_all_or_nothing() -> None:
    call = facts(application())
    stray = replace(facts(application(), 2), account_id="404")
    with pytest.raises(IntegrityError):
        write_reports([CallAdmitted(call, "p"), CallAdmitted(stray, "p")])
    assert not Call.objects.exists()


def test_text_from_strangers_fits_the_columns() -> None:
    call = replace(facts(application()), from_uri="sip:\0" + "x" * 5000, sip_call_id="\0" * 3000)
    write_reports([CallAdmitted(call, "p"), LadderMessage(call.call_id, STARTED, "caller", "a:1", "b:2", "x" * 2000, "a\0b")])
    report = call_report(call.call_id)
    assert report is not None
    assert report.ladder[0].text == "a\\0b"


@pytest.mark.parametrize(("messages", "shown"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 1, 7, 8])])
def test_the_page_of_a_call_shows_its_beginning_and_its_end(monkeypatch: pytest.MonkeyPatch, messages: int, shown: list[int]) -> None:
    monkeypatch.setattr(module, "FIRST_MESSAGES", 2)
    monkeypatch.setattr(module, "LAST_MESSAGES", 2)
    call = facts(application())
    lines = [LadderMessage(call.call_id, STARTED + number, "caller", "a:1", "b:2", f"line {number}", "") for number in range(messages)]
    write_reports([CallAdmitted(call, "p"), *lines])
    report = call_report(call.call_id)
    assert report is not None
    assert [line.first_line for line in report.ladder] == [f"line {number}" for number in shown]


@pytest.mark.parametrize(("webhooks", "shown"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (9, [0, 1, 7, 8])])
def test_the_page_of_a_call_shows_its_first_webhooks_and_its_last_ones(
    monkeypatch: pytest.MonkeyPatch, webhooks: int, shown: list[int]
) -> None:
    monkeypatch.setattr(module, "FIRST_WEBHOOKS", 2)
    monkeypatch.setattr(module, "LAST_WEBHOOKS", 2)
    monkeypatch.setattr(module, "MAX_SHOWN_ATTEMPTS", 2)
    call = facts(application())
    write_reports([CallAdmitted(call, "p")])
    for number in range(webhooks):
        at = datetime.fromtimestamp(STARTED + number, UTC)
        row = WebhookDelivery.objects.create(
            account_id=call.account_id, call_id=call.call_id, event_type=f"e{number}", url="x", method="POST", body={}, created_at=at
        )
        for status in (500, 503, 200):
            WebhookAttempt.objects.create(delivery=row, at=at, url="x", status=status, latency_ms=1)
    report = call_report(call.call_id)
    assert report is not None
    assert [(line.event_type, line.status) for line in report.webhooks] == [(f"e{one}", status) for one in shown for status in (503, 200)]
    assert report.has_more_webhooks == (webhooks == 9)


def test_media_figures_are_replaced_by_later_ones() -> None:
    figures = MediaFigures("external", 10, 1600, 9, 0, 1.5, None, 4.3, 0, "userspace", 0, "a:1", "b:2")
    report = MediaReport("c-1", "relay", STARTED, figures, final=False)
    write_reports([report, replace(report, figures=replace(figures, packets_in=20), final=True)])
    assert MediaLeg.objects.get().packets_in == 20


def test_a_relays_notice_is_in_the_ladder_but_not_in_the_capture() -> None:
    call = facts(application())
    message = LadderMessage(call.call_id, STARTED, "caller", "a:1", "b:2", "INVITE", "INVITE sip:x SIP/2.0")
    notice = MediaNotice(call.call_id, STARTED + 3, "external", "192.168.1.5:4000", "b:30000", "No audio comes from the caller.")
    write_reports([CallAdmitted(call, "p"), message, notice])
    report = call_report(call.call_id)
    assert report is not None
    assert [(line.leg, line.source, line.first_line, line.text) for line in report.ladder] == [
        ("caller", "a:1", "INVITE", "INVITE sip:x SIP/2.0"),
        ("caller", "192.168.1.5:4000", "No audio comes from the caller.", ""),
    ]
    assert [stored.text for stored in module.call_messages(call.call_id)] == ["INVITE sip:x SIP/2.0"]


def test_a_burst_of_refusals_is_one_row_with_the_first_trace() -> None:
    row = application()
    trace = (RuleResult("source_ip", "failed", "203.0.113.0/24", "198.51.100.1"),)
    seen = RefusalSeen(str(row.pk), "198.51.100.1", Reason.IP_NOT_ALLOWED, 401, 3, STARTED, STARTED + 1, "US", "u", "c", "ua", trace)
    write_reports([seen, replace(seen, first_at=STARTED + 30, last_at=STARTED + 31)])
    write_reports([replace(seen, first_at=STARTED + 300, last_at=STARTED + 301)])
    counts = list(RefusedAttempt.objects.order_by("first_at").values_list("count", flat=True))
    assert counts == [6, 3]
    assert RefusedAttempt.objects.first().trace[0]["seen"] == "198.51.100.1"  # type: ignore[union-attr]  # it is there


def test_a_fetched_webhook_is_stored_with_its_answer() -> None:
    call = facts(application())
    fetched = WebhookFetched(call, "initiate", STARTED, "https://a.example", "POST", '{"a": 1}', 200, "<Response/>", 12, None)
    again = replace(fetched, at=STARTED + 1, status=None, error="No answer within 15 s.", response_body="")
    write_reports([CallAdmitted(call, "p"), fetched, again])
    report = call_report(call.call_id)
    assert report is not None
    assert [(line.state, line.status, line.error) for line in report.webhooks] == [
        ("delivered", 200, ""),
        ("failed", None, "No answer within 15 s."),
    ]


def test_the_sweeper_ends_the_calls_of_a_silent_node() -> None:
    call = facts(application())
    alive = facts(application(), 2)
    beat = NodeBeat("callflow", "callflow-alive", time.time(), "up", "", "127.0.0.1:6161", 0, "")
    write_reports([CallAnswered(call, "callflow-dead", STARTED), CallAnswered(alive, "callflow-alive", STARTED), beat])
    assert Node.objects.count() == 1
    assert calls.sweep() == 1
    assert Call.objects.get(pk=call.call_id).end_reason == "node_lost"
    assert Call.objects.get(pk=alive.call_id).state == "answered"


def beat_of(name: str, boot: str, *, ago: float = 0.0, state: Literal["up", "down"] = "up") -> NodeBeat:
    return NodeBeat("callflow", name, time.time() - ago, state, "", "127.0.0.1:6161", 0, "", boot=boot)


def just_begun(row: VoiceApplication, number: int) -> CallFacts:
    return replace(facts(row, number), started_at=time.time())


def lost_calls() -> list[str]:
    return list(Call.objects.filter(end_reason="node_lost").order_by("pk").values_list("pk", flat=True))


def test_a_later_boot_of_a_node_ends_what_the_earlier_one_held() -> None:
    row = application()
    forwarded, answered, current = (just_begun(row, number) for number in (1, 2, 3))
    write_reports([*(CallAdmitted(call, "proxy") for call in (forwarded, answered, current)), beat_of("node", "2")], "p")
    write_reports([CallForwarded(forwarded.call_id, "node", "1"), CallForwarded(current.call_id, "node", "2")], "p")
    write_reports([CallAnswered(answered, "node", time.time())], "1")
    assert calls.sweep() == 2
    assert lost_calls() == [forwarded.call_id, answered.call_id]
    assert WebhookDelivery.objects.filter(event_type="disconnect").count() == 2
    assert list(OpenCall.objects.values_list("pk", flat=True)) == [current.call_id]


def test_a_boot_that_has_not_beaten_yet_holds_its_calls() -> None:
    call = just_begun(application(), 1)
    write_reports([beat_of("node", "1"), CallAdmitted(call, "proxy"), CallForwarded(call.call_id, "node", "2")], "p")
    assert calls.sweep() == 0


@pytest.mark.parametrize(("started_ago", "beat_ago", "lost"), [(70, 70, 1), (70, 50, 0), (50, 70, 0)])
def test_a_silent_node_gets_a_minute(started_ago: float, beat_ago: float, lost: int) -> None:
    call = replace(facts(application()), started_at=time.time() - started_ago)
    write_reports([beat_of("node", "1", ago=beat_ago), CallAdmitted(call, "proxy"), CallForwarded(call.call_id, "node", "1")], "p")
    assert calls.sweep() == lost


def test_a_node_that_beats_again_when_the_database_is_back_keeps_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    back, gone = (facts(application(), number) for number in (1, 2))
    write_reports([CallAnswered(back, "back", STARTED), CallAnswered(gone, "gone", STARTED)])
    write_reports([beat_of("back", "1", ago=70), beat_of("gone", "1", ago=70)])
    monkeypatch.setattr(time, "sleep", lambda _: write_reports([beat_of("back", "1")]))
    assert calls.sweep(6.0) == 1
    assert lost_calls() == [gone.call_id]


def test_a_node_that_went_down_holds_nothing() -> None:
    call = facts(application())
    write_reports([beat_of("node", "1", state="down"), CallAdmitted(call, "proxy"), CallForwarded(call.call_id, "node", "1")], "p")
    assert calls.sweep() == 1


def test_without_a_call_flow_node_the_proxy_holds_a_call() -> None:
    call = just_begun(application(), 1)
    write_reports([CallAdmitted(call, "proxy")], "1")
    assert calls.sweep() == 0
    write_reports([replace(beat_of("proxy", "2"), role="sipproxy")])
    assert calls.sweep() == 1


def test_a_call_that_has_ended_is_not_opened_by_late_reports() -> None:
    call = facts(application())
    write_reports([ended(call)])
    write_reports([CallAdmitted(call, "proxy"), CallForwarded(call.call_id, "node", "1"), CallAnswered(call, "node", STARTED)], "1")
    assert not OpenCall.objects.exists()


def test_the_real_end_replaces_the_guess_that_a_node_is_lost() -> None:
    call = facts(application())
    write_reports([CallAdmitted(call, "proxy")], "1")
    assert calls.sweep() == 1
    write_reports([ended(call)])
    row = Call.objects.get()
    assert (row.end_reason, row.duration_seconds) == ("caller_hangup", 8.0)
    write_reports([ended(call, reason=EndReason.NODE_LOST)])
    assert Call.objects.get().end_reason == "caller_hangup"
    assert WebhookDelivery.objects.filter(event_type="disconnect").count() == 1


def at_target(*, started_ago: float = 100.0) -> CallFacts:
    """Return a call that a static target has answered: it is held by the first boot of a proxy."""
    call = replace(facts(application()), started_at=time.time() - started_ago)
    write_reports([CallAdmitted(call, "proxy"), CallAnswered(call, "proxy", call.started_at + 1)], "1")
    return call


def boot_of(began_ago: float) -> str:
    return f"{int((time.time() - began_ago) * 1e9):x}-0"


BOUND = open_calls.UNHEARD_SECONDS


@pytest.mark.parametrize(("boot_ago", "beat_ago", "lost"), [(5, 0, 0), (BOUND - 5, 0, 0), (BOUND + 5, 0, 1), (5, 90, 0)])
def test_a_call_at_a_static_target_outlives_its_proxy_for_an_hour(boot_ago: float, beat_ago: float, lost: int) -> None:
    at_target(started_ago=BOUND * 3)
    write_reports([replace(beat_of("proxy", boot_of(boot_ago), ago=beat_ago), role="sipproxy")])
    assert calls.sweep() == lost


@pytest.mark.parametrize(("beat_ago", "state", "lost"), [(90, "up", 0), (90, "down", 0), (BOUND + 5, "up", 1), (BOUND + 5, "down", 1)])
def test_a_call_at_a_static_target_waits_an_hour_for_a_silent_proxy(beat_ago: float, state: Literal["up", "down"], lost: int) -> None:
    at_target(started_ago=BOUND * 3)
    write_reports([replace(beat_of("proxy", "1", ago=beat_ago, state=state), role="sipproxy")])
    assert calls.sweep() == lost


@pytest.mark.parametrize(("started_ago", "lost"), [(BOUND - 5, 0), (BOUND + 5, 1)])
def test_a_call_at_a_static_target_waits_for_a_proxy_that_nobody_knows(started_ago: float, lost: int) -> None:
    at_target(started_ago=started_ago)
    assert calls.sweep() == lost


def test_a_bye_that_names_only_the_call_ends_it() -> None:
    call = at_target()
    write_reports([CallHungUp(call.call_id, "another", call.started_at + 31, EndReason.CALLER_HANGUP)])
    row = Call.objects.get()
    assert (row.state, row.end_reason, row.sip_status, row.duration_seconds) == ("disconnected", "caller_hangup", 200, 30.0)
    assert WebhookDelivery.objects.filter(event_type="disconnect").count() == 1
    assert not OpenCall.objects.exists()


def test_a_bye_that_comes_after_the_bound_corrects_the_record_and_sends_nothing_more() -> None:
    call = at_target(started_ago=BOUND + 5)
    assert calls.sweep() == 1
    for reason in (EndReason.APPLICATION_HANGUP, EndReason.CALLER_HANGUP):
        write_reports([CallHungUp(call.call_id, "proxy", call.started_at + 5_001, reason)])
    row = Call.objects.get()
    assert (row.end_reason, row.duration_seconds, row.error_message) == ("application_hangup", 5_000.0, "")
    assert WebhookDelivery.objects.filter(event_type="disconnect").count() == 1


def test_a_bye_of_a_call_that_nobody_knows_is_no_record() -> None:
    write_reports([CallHungUp("c-unknown", "proxy", STARTED, EndReason.CALLER_HANGUP)])
    assert not Call.objects.exists()


def test_the_sweeper_of_an_idle_system_finds_nothing() -> None:
    tasks.sweep_calls()
    assert calls.end([]) == 0


def sweep_messages() -> None:
    """Run the task as the schedule does, an hour later."""
    TaskLease.objects.all().delete()
    tasks.sweep_messages()


def test_messages_are_deleted_after_the_configured_days(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(calls, "SWEPT_AT_ONCE", 3)
    now, day = time.time(), 86_400
    # Nearly in the order of their times: nodes write in batches, and one may have been delayed by the database.
    ages = [9, 8, 6.9, 9, 8, 7.1, 3, 7.2, 2, 1, 0, 0, 0]
    write_reports([LadderMessage("c-1", now - age * day, "caller", "a:1", "b:2", str(age), "") for age in ages])
    settings.MESSAGE_STORE_DAYS = 7
    sweep_messages()
    assert list(CallEvent.objects.order_by("pk").values_list("first_line", flat=True)) == ["6.9", "3", "2", "1", "0", "0", "0"]
    sweep_messages()
    assert CallEvent.objects.count() == 7
    settings.MESSAGE_STORE_DAYS = 0
    sweep_messages()
    assert not CallEvent.objects.exists()


def test_the_sweep_of_messages_stops_at_recent_ones(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    write_reports([LadderMessage("c-1", time.time(), "caller", "a:1", "b:2", "", "") for _ in range(3_000)])
    with django_assert_num_queries(2):
        assert calls.sweep_messages(timedelta(days=1)) == 0


def test_a_webhook_may_be_reported_before_its_call() -> None:
    call = facts(application())
    write_reports([WebhookFetched(call, "initiate", STARTED, "https://a.example", "POST", "{}", 200, "<Response/>", 12, None)])
    write_reports([CallAdmitted(call, "p")])
    assert Call.objects.get().proxy_node == "p"


def test_a_pool_that_falls_silent_at_once_stays_in_use() -> None:
    beat = NodeBeat("callflow", "a", time.time() - 30, "up", "", "127.0.0.1:6161", 0, "")
    gone = NodeBeat("callflow", "b", time.time() - 30, "down", "", "127.0.0.1:6163", 0, "")
    write_reports([beat, gone])
    assert [node.name for node in node_pool("callflow")] == ["a"]
    write_reports([NodeBeat("callflow", "c", time.time(), "up", "", "127.0.0.1:6164", 0, "")])
    assert [node.name for node in node_pool("callflow")] == ["c"]
