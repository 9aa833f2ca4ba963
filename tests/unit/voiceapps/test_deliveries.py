"""Sending what is due: claimed once, retried, given up; a host that fails is left alone and asked again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.unit.voiceapps.builders import STARTED, application, ended, facts
from voiceapps.models import FailingHost, WebhookAttempt, WebhookDelivery
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.reports import StatusEventQueued
from voiceapps.services.delivery import attempts, claims, failing_hosts
from voiceapps.services.delivery.claims import Answered, Claimed
from voiceapps.services.delivery.pacing import MAX_OF_ACCOUNT, MAX_TO_HOST, REST_AFTER, Destination, Room
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db
HERE = Destination("9900000", "a.example:443")


@pytest.fixture
def delivery() -> WebhookDelivery:
    write_reports([ended(facts(application(callback_username="u", callback_password="p")))])
    return WebhookDelivery.objects.get()


def answer(status: int | None, body: bytes = b"body") -> OutboundAnswer:
    return OutboundAnswer(status, body, "text/plain", 5, None if status else "No answer within 15 s.")


def claim(room: Room | None = None) -> list[Claimed]:
    return claims.claim(room or Room())


def store(claimed: Claimed, what: OutboundAnswer) -> None:
    claims.store([Answered(claimed, what)])


def due_now(*rows: WebhookDelivery) -> None:
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows], state="pending").update(next_attempt_at=timezone.now())


def several(count: int) -> list[WebhookDelivery]:
    """Return as many deliveries of one account to one host, all of them due."""
    row = application()
    write_reports([ended(facts(row, number)) for number in range(count)])
    return list(WebhookDelivery.objects.order_by("next_attempt_at"))


def test_a_delivery_is_claimed_once(delivery: WebhookDelivery) -> None:
    [claimed] = claim()
    assert (claimed.request.username, claimed.request.password, claimed.request.account_id) == ("u", "p", "9900000")
    assert claimed.destination == HERE
    assert claim() == []


@pytest.mark.parametrize("status", [204, 410])
def test_what_a_body_hides_is_sent_and_forgotten_once_it_is_over(status: int) -> None:
    body = {"eventType": "dtmf", "digit": "*"}
    call = facts(application())
    write_reports([StatusEventQueued(call, "dtmf", STARTED, "https://a.example/digit", "POST", "", "", body, {"digit": "7"})])
    [claimed] = claim()
    assert claimed.request.body == {"eventType": "dtmf", "digit": "7"}
    store(claimed, answer(500))
    row = WebhookDelivery.objects.get()
    assert (row.body, row.hidden) == (body, '{"digit": "7"}')
    due_now(row)
    FailingHost.objects.all().delete()
    store(claim()[0], answer(status))
    row.refresh_from_db()
    assert (row.state, row.hidden) == ("delivered" if status == 204 else "failed", "")


def test_a_claim_that_was_abandoned_ends(delivery: WebhookDelivery) -> None:
    [first] = claim()
    due_now(delivery)
    [second] = claim()
    assert second == first
    assert first.request.message_id == second.request.message_id


def test_a_2xx_answer_delivers(delivery: WebhookDelivery) -> None:
    store(claim()[0], answer(204))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.next_attempt_at) == ("delivered", None)
    assert delivery.attempts.get().response_body == "body"


@pytest.mark.parametrize("status", [None, 500, 302])
def test_any_other_answer_is_retried_until_the_retries_end(delivery: WebhookDelivery, status: int | None) -> None:
    for seconds in attempts.RETRY_SECONDS:
        begin = timezone.now()
        attempt(delivery, status)
        assert delivery.state == "pending"
        assert delivery.next_attempt_at is not None
        assert begin < delivery.next_attempt_at - timedelta(seconds=seconds) < timezone.now()
        assert claim() == []
    attempt(delivery, status)
    assert delivery.state == "failed"


def attempt(delivery: WebhookDelivery, status: int | None) -> None:
    """Have a delivery tried, also at a host that rests."""
    due_now(delivery)
    FailingHost.objects.update(rests_until=timezone.now())
    store(claim()[0], answer(status))
    delivery.refresh_from_db()


def test_410_gives_up_at_once(delivery: WebhookDelivery) -> None:
    store(claim()[0], answer(410))
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_many_are_claimed_and_stored_at_once() -> None:
    several(5)
    claimed = claim()
    assert len(claimed) == 5
    claims.store([Answered(one, answer(200 if index % 2 else 404)) for index, one in enumerate(claimed)])
    assert [WebhookDelivery.objects.get(pk=one.delivery_id).state for one in claimed] == ["pending", "delivered"] * 2 + ["pending"]


def test_what_finds_no_room_waits_in_the_table() -> None:
    rows = several(3)
    assert claim(Room({HERE: MAX_TO_HOST})) == []
    assert claim(Room({Destination(HERE.account_id, "b.example:443"): MAX_OF_ACCOUNT})) == []
    [oldest] = claim(Room({HERE: MAX_TO_HOST - 1}))
    assert oldest.delivery_id == rows[0].pk
    assert [one.delivery_id for one in claim()] == [row.pk for row in rows[1:]]


def test_an_account_without_room_keeps_no_other_one_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MAX_CLAIMED", 2)
    rows = several(4)
    busy = Room({Destination("9900001", HERE.host): MAX_OF_ACCOUNT})
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows[:3]]).update(host="hangs.example:443")
    room = Room({Destination(HERE.account_id, "hangs.example:443"): MAX_TO_HOST})
    assert [one.delivery_id for one in claim(room)] == [rows[3].pk]
    assert len(claim(busy)) == 2


class TestFailingHosts:
    def test_a_host_that_fails_again_and_again_is_left_alone(self) -> None:
        rows = several(REST_AFTER + 1)
        for one in claim()[:REST_AFTER]:
            store(one, answer(503))
        host = FailingHost.objects.get()
        assert (host.host, host.failures, host.error) == (HERE.host, REST_AFTER, "It answered 503.")
        last = rows[-1]
        due_now(last)
        assert claim() == []
        assert not last.attempts.exists()
        assert not claims.fail_resting()
        last.refresh_from_db()
        assert last.state == "pending"
        assert claim() == []
        assert last.attempts.get().error.startswith("Not sent: a.example:443 failed 5 times in a row, and rests until ")
        assert FailingHost.objects.get().failures == REST_AFTER

    def test_many_that_wait_for_it_keep_no_other_host_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(claims, "MAX_CLAIMED", 2)
        rows = self.rested()
        FailingHost.objects.update(rests_until=timezone.now() + timedelta(seconds=30))
        WebhookDelivery.objects.filter(pk=rows[-1].pk).update(host="b.example:443")
        before = WebhookAttempt.objects.count()
        assert [one.delivery_id for one in claim()] == [rows[-1].pk]
        assert WebhookAttempt.objects.count() == before
        portions = [(claims.fail_resting(), WebhookAttempt.objects.count() - before) for _ in range(3)]
        assert portions == [(True, 2), (True, 4), (False, 4)]

    def test_what_is_due_at_a_host_that_answers_is_not_failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(claims, "MAX_CLAIMED", 1)
        several(1)
        assert not claims.fail_resting()
        assert len(claim()) == 1

    def test_after_its_rest_it_is_asked_by_one_request(self) -> None:
        rows = self.rested()
        [probe] = claim()
        assert claim(Room({HERE: 1})) == []
        store(probe, answer(None))
        due_now(*rows)
        assert claim() == []
        assert not claims.fail_resting()
        assert all(row.attempts.exclude(error="").exists() for row in rows[:3])

    def test_what_waits_for_it_keeps_no_other_host_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(claims, "MAX_CLAIMED", 2)
        rows = self.rested()
        WebhookDelivery.objects.filter(pk=rows[-1].pk).update(host="b.example:443")
        assert [one.delivery_id for one in claim(Room({HERE: 1}))] == [rows[-1].pk]

    def test_one_answer_makes_it_well(self) -> None:
        rows = self.rested()
        store(claim()[0], answer(200))
        assert not FailingHost.objects.exists()
        due_now(*rows)
        assert len(claim()) == REST_AFTER - 1

    def test_other_hosts_and_accounts_have_nothing_to_do_with_it(self) -> None:
        rows = self.rested()
        FailingHost.objects.update(rests_until=timezone.now() + timedelta(minutes=1))
        WebhookDelivery.objects.filter(pk=rows[0].pk).update(host="b.example:443")
        assert [one.delivery_id for one in claim()] == [rows[0].pk]

    def test_an_answer_of_4xx_is_no_failure_of_the_host(self) -> None:
        several(REST_AFTER)
        for one in claim():
            store(one, answer(404))
        assert not FailingHost.objects.exists()

    def test_an_answer_between_failures_begins_the_count_anew(self) -> None:
        application()
        failing_hosts.note([(HERE, answer(500)), (HERE, answer(500))])
        failing_hosts.note([(HERE, answer(200)), (HERE, answer(500))])
        assert FailingHost.objects.get().failures == 1

    def test_an_account_has_a_bounded_number_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        application()
        monkeypatch.setattr(failing_hosts, "MAX_HOSTS", 2)
        failing_hosts.note([(Destination("9900000", f"h{number}.example:443"), answer(None)) for number in range(4)])
        assert FailingHost.objects.count() == 2

    def test_they_are_forgotten_after_a_day(self) -> None:
        application()
        failing_hosts.note([(HERE, answer(500))])
        assert failing_hosts.sweep() == 0
        FailingHost.objects.update(last_at=timezone.now() - timedelta(days=2))
        assert failing_hosts.sweep() == 1

    def rested(self) -> list[WebhookDelivery]:
        """Return deliveries that are due again, to a host whose rest is over."""
        rows = several(REST_AFTER)
        for one in claim():
            store(one, answer(500))
        FailingHost.objects.update(rests_until=timezone.now())
        due_now(*rows)
        return rows
