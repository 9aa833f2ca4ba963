"""The verdicts that are kept with calls: written with the end, and anew when the last figures come after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Thread

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.unit.voiceapps.builders import STARTED, application, ended, facts
from voiceapps.models import Call, CallVerdict
from voiceapps.rules.diagnosis.verdicts import VerdictCode, depends_on_audio
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import CallAdmitted, CallFacts, CallHungUp, MediaReport, Report
from voiceapps.services import calls
from voiceapps.services.diagnosis import verdicts
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

QUIET = MediaFigures("external", 0, 0, 169, 0, 0.5, None, None, 0, "kernel", 0, "", "")
SPOKE = replace(QUIET, side="internal", packets_in=169)


def last(call: CallFacts, *sides: MediaFigures, final: bool = True) -> list[MediaReport]:
    return [MediaReport(call.call_id, "relay", STARTED, side, final=final) for side in sides]


def codes() -> list[str]:
    return list(CallVerdict.objects.order_by("pk").values_list("code", flat=True))


def queries(batch: Sequence[Report]) -> int:
    if connection.vendor == "postgresql":
        pytest.skip("There daemons' statements go past what Django counts.")
    with CaptureQueriesContext(connection) as seen:
        write_reports(batch)
    return sum(1 for query in seen.captured_queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")))


@pytest.fixture
def call() -> CallFacts:
    return facts(application(status_url=""))


def test_the_end_brings_a_verdict_with_what_lists_are_narrowed_by(call: CallFacts) -> None:
    write_reports([ended(call, reason=EndReason.CALLBACK_ERROR)])
    row = CallVerdict.objects.get()
    assert (row.pk, row.code, str(row)) == (call.call_id, "webhook_failed", "The application's webhook failed")
    assert (row.account_id, str(row.application_id), row.started_at) == (
        call.account_id,
        call.application_id,
        Call.objects.get().started_at,
    )


def test_figures_that_came_before_the_end_decide(call: CallFacts) -> None:
    write_reports([CallAdmitted(call, "p"), *last(call, QUIET, SPOKE, final=False)])
    write_reports([ended(call)])
    assert codes() == ["caller_unheard"]


def test_figures_that_come_after_the_end_change_the_verdict(call: CallFacts) -> None:
    write_reports([ended(call)])
    assert codes() == ["unmeasured"]
    write_reports(last(call, QUIET, SPOKE, final=False))
    assert codes() == ["unmeasured"]
    write_reports(last(call, QUIET, SPOKE))
    assert codes() == ["caller_unheard"]
    write_reports(last(call, replace(QUIET, packets_in=500)))
    assert codes() == ["heard"]


def test_a_batch_that_has_both_judges_by_the_figures(call: CallFacts) -> None:
    write_reports([*last(call, QUIET, SPOKE), ended(call)])
    assert codes() == ["caller_unheard"]


def test_figures_do_not_change_an_end_that_speaks_for_itself(call: CallFacts) -> None:
    write_reports([ended(call, reason=EndReason.MEDIA_TIMEOUT)])
    write_reports(last(call, QUIET, SPOKE))
    assert codes() == ["media_lost"]


def test_figures_of_a_call_that_goes_on_or_that_nobody_knows_are_no_verdict(call: CallFacts) -> None:
    write_reports([CallAdmitted(call, "p"), *last(call, QUIET, SPOKE), *last(replace(call, call_id="c-unknown"), QUIET)])
    assert codes() == []


def test_the_real_end_corrects_the_verdict_that_a_node_was_lost(call: CallFacts) -> None:
    write_reports([CallAdmitted(call, "p")])
    calls.sweep()
    assert codes() == ["node_lost"]
    write_reports([ended(call)])
    assert codes() == ["unmeasured"]
    write_reports([ended(call, reason=EndReason.NODE_LOST)])
    assert codes() == ["unmeasured"]


def test_a_bye_that_names_only_the_call_is_judged(call: CallFacts) -> None:
    write_reports([CallAdmitted(call, "p"), CallHungUp(call.call_id, "p", STARTED + 9, EndReason.CALLER_HANGUP)])
    assert codes() == ["unmeasured"]


@pytest.mark.parametrize("reason", list(EndReason))
def test_every_end_has_a_verdict_that_the_column_takes(call: CallFacts, reason: EndReason) -> None:
    write_reports([ended(call, reason=reason)])
    row = CallVerdict.objects.get()
    row.clean_fields()
    assert VerdictCode(row.code) is not VerdictCode.GOING_ON


def test_a_verdict_costs_one_statement_a_batch_and_two_where_figures_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    row = application(status_url="")
    many = [facts(row, number) for number in range(1, 40)]
    write_reports([CallAdmitted(call, "p") for call in many])
    by_reason = queries([ended(call, reason=EndReason.CALLBACK_ERROR) for call in many[:10]])
    by_audio = queries([ended(call) for call in many[10:20]])
    monkeypatch.setattr(verdicts, "write", lambda _: None)
    without = queries([ended(call) for call in many[20:30]])
    assert (by_reason - without, by_audio - without) == (1, 2)


def test_last_figures_cost_a_lock_and_two_statements_more_if_calls_have_ended() -> None:
    row = application(status_url="")
    over, up = ([facts(row, number) for number in numbers] for numbers in (range(1, 11), range(11, 21)))
    write_reports([CallAdmitted(call, "p") for call in (*over, *up)])
    write_reports([ended(call) for call in over])
    assert queries([report for call in up for report in last(call, QUIET, final=False)]) == 1
    assert queries([report for call in up for report in last(call, QUIET)]) == 2
    assert queries([report for call in over for report in last(call, QUIET)]) == 4


def test_only_hang_ups_depend_on_audio() -> None:
    assert [reason for reason in EndReason if depends_on_audio(reason)] == [EndReason.CALLER_HANGUP, EndReason.APPLICATION_HANGUP]


def test_the_number_of_the_caller_is_kept(call: CallFacts) -> None:
    write_reports([CallAdmitted(replace(call, from_uri="sip:+1 (415) 555-0100@x"), "p")])
    assert Call.objects.get().from_number == "14155550100"


@pytest.mark.django_db(transaction=True)
def test_an_end_and_last_figures_that_come_at_once_see_each_other(call: CallFacts) -> None:
    """The relay's transaction does not see the end, which is not committed, and the end did not see its figures."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time.")
    write_reports([CallAdmitted(call, "p")])

    def report() -> None:
        write_reports(last(call, QUIET, SPOKE))
        connection.close()

    relay = Thread(target=report)
    with transaction.atomic():
        write_reports([ended(call)])
        assert codes() == ["unmeasured"]
        relay.start()
        with connection.cursor() as cursor:
            waits = 0
            while relay.is_alive() and not waits:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                (waits,) = cursor.fetchone()
        assert waits
    relay.join()
    assert codes() == ["caller_unheard"]
