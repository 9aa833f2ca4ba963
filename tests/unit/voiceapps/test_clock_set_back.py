"""A clock that is set back by hours: times that are stored lie in the future, and nothing waits for the clock to catch up."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.unit.voiceapps.builders import application, attempted, ended, facts
from tests.unit.voiceapps.test_deliveries import HERE, claim
from voiceapps import tasks
from voiceapps.models import FailingHost, Node, WebhookAttempt, WebhookDelivery
from voiceapps.rules.bans import BanReason
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.reports import CallAdmitted, NodeBeat, SourceBanned
from voiceapps.selectors import active_bans, known_nodes, live_nodes, node_health, node_pool
from voiceapps.services import calls
from voiceapps.services.delivery import waits
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db
STEP = timedelta(hours=1)
SOURCE = "203.0.113.9"


def beat(name: str, ahead: timedelta = timedelta(), boot: str = "") -> None:
    at = time.time() + ahead.total_seconds()
    write_reports([NodeBeat("callflow", name, at, "up", "", "127.0.0.1:6161", 0, "", boot=boot)])


class TestNodes:
    def test_a_node_that_beats_no_more_is_not_heard(self) -> None:
        beat("dead", STEP)
        beat("living")
        assert [node.name for node in live_nodes("callflow")] == ["living"]
        assert [node.name for node in node_pool("callflow")] == ["living"]
        assert node_health(Node.objects.get(pk="dead")) == "silent"

    def test_until_the_first_beat_after_the_step_all_stay_in_use(self) -> None:
        beat("one", STEP)
        assert [node.name for node in node_pool("callflow")] == ["one"]
        assert [node.live for node in known_nodes("callflow")] == [False]

    def test_a_clock_that_is_some_seconds_ahead_is_no_fault(self) -> None:
        beat("one", timedelta(seconds=5))
        assert [node.name for node in live_nodes("callflow")] == ["one"]


class TestCalls:
    def test_calls_of_a_node_that_died_before_end(self) -> None:
        beat("callflow-1", STEP)
        admitted(STEP)
        assert calls.sweep() == 1

    def test_calls_of_a_living_node_go_on(self) -> None:
        beat("callflow-1")
        admitted(STEP)
        assert calls.sweep() == 0

    def test_an_earlier_boot_whose_name_sorts_behind_is_over(self) -> None:
        beat("callflow-1", boot=boot_of(timedelta()))
        admitted(STEP, boot_of(STEP))
        assert calls.sweep() == 1

    def test_the_present_boot_is_not_over(self) -> None:
        boot = boot_of(STEP)
        beat("callflow-1", boot=boot)
        admitted(STEP, boot)
        assert calls.sweep() == 0


def admitted(ahead: timedelta, boot: str = "") -> None:
    started = (timezone.now() + ahead).timestamp()
    calls.admit([CallAdmitted(replace(facts(application()), started_at=started), "callflow-1")], boot)


def boot_of(ahead: timedelta) -> str:
    return f"{time.time_ns() + int(ahead.total_seconds()) * 10**9:x}-00000000"


class TestBans:
    def test_those_that_a_proxy_placed_before_the_step_are_over(self) -> None:
        write_reports([banned(STEP)])
        assert active_bans() == ()

    def test_those_of_an_operator_stay(self) -> None:
        write_reports([banned(STEP, BanReason.OPERATOR)])
        assert len(active_bans()) == 1

    def test_a_new_one_replaces_them(self) -> None:
        write_reports([banned(STEP), banned(timedelta())])
        assert [ban.at < time.time() for ban in active_bans()] == [True]


def banned(ahead: timedelta, reason: BanReason = BanReason.FLOOD) -> SourceBanned:
    at = time.time() + ahead.total_seconds()
    return SourceBanned(SOURCE, reason, "sipproxy-one", at, at + 300)


class TestDeliveries:
    @pytest.fixture
    def delivery(self) -> WebhookDelivery:
        write_reports([ended(facts(application()))])
        return WebhookDelivery.objects.get()

    def test_one_that_was_never_sent_is_due(self, delivery: WebhookDelivery) -> None:
        plan(STEP)
        assert waits.shorten() == 1
        assert len(claim()) == 1

    def test_one_whose_last_attempt_lies_in_the_future_is_due(self, delivery: WebhookDelivery) -> None:
        attempted(delivery, OutboundAnswer(500, b"", "", 1, None))
        attempted(delivery, OutboundAnswer(500, b"", "", 1, None))
        newest = WebhookAttempt.objects.order_by("-id")[0]
        WebhookAttempt.objects.filter(pk=newest.pk).update(at=timezone.now() + STEP)
        plan(STEP + timedelta(seconds=30))
        assert waits.shorten() == 1
        assert len(claim()) == 1

    def test_its_next_retry_waits_as_long_as_ever(self, delivery: WebhookDelivery) -> None:
        for _ in range(2):
            attempted(delivery, OutboundAnswer(500, b"", "", 1, None))
        WebhookAttempt.objects.filter(pk=WebhookAttempt.objects.order_by("id")[0].pk).update(at=timezone.now() + STEP)
        plan(timedelta(minutes=10))
        assert waits.shorten() == 0

    def test_one_that_was_replayed_before_the_step_and_tried_after_it_waits_as_long_as_ever(self, delivery: WebhookDelivery) -> None:
        WebhookDelivery.objects.update(replayed_at=timezone.now() + STEP)
        attempted(delivery, OutboundAnswer(500, b"", "", 1, None))
        plan(timedelta(minutes=10))
        assert waits.shorten() == 0
        WebhookAttempt.objects.update(at=timezone.now() + STEP + timedelta(minutes=1))
        assert waits.shorten() == 1

    def test_one_that_was_replayed_before_the_step_is_due(self, delivery: WebhookDelivery) -> None:
        attempted(delivery, OutboundAnswer(410, b"", "", 1, None))
        later = timezone.now() + STEP
        WebhookDelivery.objects.update(state="pending", replayed_at=later, next_attempt_at=later)
        assert waits.shorten() == 1
        assert len(claim()) == 1

    def test_one_that_is_being_sent_is_left_alone(self, delivery: WebhookDelivery) -> None:
        assert len(claim()) == 1
        assert waits.shorten() == 0

    def test_a_periodic_task_does_it(self, delivery: WebhookDelivery) -> None:
        plan(STEP)
        tasks.shorten_waits()
        assert len(claim()) == 1

    def test_a_host_rests_no_longer_than_ever(self, delivery: WebhookDelivery) -> None:
        now = timezone.now()
        FailingHost.objects.create(
            account_id=HERE.account_id, host=HERE.host, failures=5, since=now, last_at=now, error="", rests_until=now + STEP
        )
        assert len(claim()) == 1


def plan(ahead: timedelta) -> None:
    WebhookDelivery.objects.update(next_attempt_at=timezone.now() + ahead)
