"""The outbox: deliveries are stored and announced, and can be sent again."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone

from tests.unit.voiceapps.builders import ACTOR, application, ended, facts
from tests.unit.voiceapps.test_deliveries import answer, claim, delivery, due_now, store
from voiceapps.models import AuditEntry, FailingHost, WebhookDelivery
from voiceapps.rules.reports import WebhookFetched
from voiceapps.services import webhooks
from voiceapps.services.delivery import attempts
from voiceapps.services.reports import write_reports

__all__ = ["delivery"]

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_an_unavailable_broker_does_not_fail_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def send_task(_name: str, *, retry: bool) -> None:
        tried.set()
        raise ConnectionRefusedError

    monkeypatch.setattr(current_app, "send_task", send_task)
    write_reports([ended(facts(application()))])
    assert tried.wait(10)
    assert len(claim()) == 1


def test_secrets_of_the_url_are_sent_and_not_stored_in_clear() -> None:
    url = "http://user:secret-1@a.example/status?Signature=secret-2"
    write_reports([ended(facts(application(status_url=url)))])
    delivery = WebhookDelivery.objects.get()
    assert delivery.url == "http://***@a.example/status?Signature=***"
    assert delivery.host == "a.example:80"
    [claimed] = claim()
    assert claimed.request.url == url
    store(claimed, answer(500, b"no /x?k=secret-3, password='secret-4'"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT d.*, a.* FROM voiceapps_webhookdelivery d JOIN voiceapps_webhookattempt a ON a.delivery_id = d.delivery_id")
        assert "secret" not in repr(cursor.fetchall())
    assert "secret" not in repr(AuditEntry.objects.values_list("changes"))


class TestReplay:
    def test_a_replay_has_its_own_retries(self, delivery: WebhookDelivery) -> None:
        retries = len(attempts.RETRY_SECONDS)
        assert [try_once(delivery, 404) for _ in range(retries + 1)] == ["pending"] * retries + ["failed"]
        webhooks.replay(delivery.pk, actor=ACTOR)
        assert [try_once(delivery, 404) for _ in range(retries + 1)] == ["pending"] * retries + ["failed"]

    def test_an_answer_counts_although_the_clock_was_set_back_behind_the_replay(self, delivery: WebhookDelivery) -> None:
        try_once(delivery, 404)
        later = timezone.now() + timedelta(hours=1)
        WebhookDelivery.objects.update(replayed_at=later)
        assert [try_once(delivery, 404) for _ in range(len(attempts.RETRY_SECONDS) + 1)][-2:] == ["pending", "failed"]
        WebhookDelivery.objects.update(state="pending")
        assert try_once(delivery, 200) == "delivered"

    def test_it_keeps_its_message_id_and_is_due_at_once(self, delivery: WebhookDelivery) -> None:
        [first] = claim()
        store(first, answer(204))
        assert claim() == []
        webhooks.replay(delivery.pk, actor=ACTOR)
        assert claim() == [first]

    def test_a_pending_or_synchronous_one_is_refused_and_not_audited(self, delivery: WebhookDelivery) -> None:
        with pytest.raises(webhooks.DeliveryPendingError):
            webhooks.replay(delivery.pk, actor=ACTOR)
        WebhookDelivery.objects.update(synchronous=True, state="failed")
        with pytest.raises(webhooks.NotReplayableError):
            webhooks.replay(delivery.pk, actor=ACTOR)
        assert not AuditEntry.objects.filter(action="webhook.replay").exists()


class TestHurry:
    def test_what_waits_is_due_at_once_and_keeps_its_retries(self, delivery: WebhookDelivery) -> None:
        retries = len(attempts.RETRY_SECONDS)
        assert [try_once(delivery, 404) for _ in range(retries)] == ["pending"] * retries
        assert claim() == []
        webhooks.hurry(delivery.pk, actor=ACTOR)
        [claimed] = claim()
        store(claimed, answer(404))
        delivery.refresh_from_db()
        assert delivery.state == "failed"
        entry = AuditEntry.objects.get(action="webhook.hurry")
        assert (entry.subject, entry.chain, entry.changes) == (
            str(delivery.pk),
            "9900000",
            {"call": delivery.call_id, "event_type": "disconnect"},
        )

    def test_what_a_worker_has_is_not_sent_twice(self, delivery: WebhookDelivery) -> None:
        assert len(claim()) == 1
        self.assert_refused(delivery, "being sent")
        assert claim() == []
        try_once(delivery, 500)
        due_now(delivery)
        assert len(claim()) == 1
        self.assert_refused(delivery, "being sent")

    def test_what_is_over_is_refused(self, delivery: WebhookDelivery) -> None:
        try_once(delivery, 204)
        self.assert_refused(delivery, "It can only be sent again")

    def test_what_goes_to_a_host_that_rests_waits_for_it(self, delivery: WebhookDelivery) -> None:
        try_once(delivery, 500)
        soon = timezone.now() + timedelta(seconds=20)
        FailingHost.objects.update(rests_until=soon)
        self.assert_refused(delivery, "ask the host first")
        FailingHost.objects.update(rests_until=timezone.now())
        webhooks.hurry(delivery.pk, actor=ACTOR)
        assert len(claim()) == 1

    def test_a_request_of_a_call_names_its_host(self) -> None:
        call = facts(application())
        write_reports([WebhookFetched(call, "initiate", 1.0, "https://A.example/x", "POST", "{}", 200, "", 1, None)])
        assert WebhookDelivery.objects.get().host == "a.example:443"

    def assert_refused(self, delivery: WebhookDelivery, sentence: str) -> None:
        with pytest.raises(webhooks.NotHurriedError, match=sentence):
            webhooks.hurry(delivery.pk, actor=ACTOR)
        assert not AuditEntry.objects.filter(action="webhook.hurry").exists()


def try_once(delivery: WebhookDelivery, status: int) -> str:
    """Send a delivery, whenever it is due, and return its state after that."""
    due_now(delivery)
    [claimed] = claim()
    store(claimed, answer(status))
    delivery.refresh_from_db()
    return delivery.state
