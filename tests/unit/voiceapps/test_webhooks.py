"""The outbox: deliveries are claimed once, retried, given up."""

from __future__ import annotations

import queue

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone

from tests.unit.voiceapps.builders import ACTOR, application, ended, facts
from voiceapps.models import AuditEntry, WebhookDelivery
from voiceapps.rules.outbound import OutboundAnswer
from voiceapps.services import webhooks
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db


@pytest.fixture
def delivery() -> WebhookDelivery:
    write_reports([ended(facts(application(callback_username="u", callback_password="p")))])
    return WebhookDelivery.objects.get()


@pytest.mark.django_db(transaction=True)
def test_an_unavailable_broker_does_not_fail_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: queue.Queue[str] = queue.Queue()

    def send_task(_name: str, *, args: list[str], retry: bool) -> None:
        tried.put(args[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(current_app, "send_task", send_task)
    call = facts(application())
    write_reports([ended(call)])
    delivery = WebhookDelivery.objects.get(call_id=call.call_id)
    assert tried.get(timeout=10) == str(delivery.pk)
    due_now(delivery)
    assert webhooks.take_due() == [delivery.pk]


def answer(status: int | None) -> OutboundAnswer:
    return OutboundAnswer(status, b"body", "text/plain", 5, None if status else "No answer within 15 s.")


def due_now(delivery: WebhookDelivery) -> None:
    WebhookDelivery.objects.filter(pk=delivery.pk).update(next_attempt_at=timezone.now(), announce_at=timezone.now())


def test_a_delivery_is_claimed_once(delivery: WebhookDelivery) -> None:
    request = webhooks.claim(delivery.pk)
    assert request is not None
    assert (request.username, request.password, request.account_id) == ("u", "p", "9900000")
    assert webhooks.claim(delivery.pk) is None


def test_secrets_of_the_url_are_sent_and_not_stored_in_clear() -> None:
    url = "http://user:secret-1@a.example/status?Signature=secret-2"
    write_reports([ended(facts(application(status_url=url)))])
    delivery = WebhookDelivery.objects.get()
    assert delivery.url == "http://***@a.example/status?Signature=***"
    request = webhooks.claim(delivery.pk)
    assert request is not None
    assert request.url == url
    webhooks.finish_attempt(delivery.pk, OutboundAnswer(500, b"no /x?k=secret-3, password='secret-4'", "text/plain", 5, None))
    with connection.cursor() as cursor:
        cursor.execute("SELECT d.*, a.* FROM voiceapps_webhookdelivery d JOIN voiceapps_webhookattempt a ON a.delivery_id = d.delivery_id")
        assert "secret" not in repr(cursor.fetchall())
    assert "secret" not in repr(AuditEntry.objects.values_list("changes"))


def test_the_message_id_is_the_same_at_every_attempt(delivery: WebhookDelivery) -> None:
    first = webhooks.claim(delivery.pk)
    due_now(delivery)
    second = webhooks.claim(delivery.pk)
    assert first is not None
    assert second is not None
    assert first.message_id == second.message_id


def test_a_2xx_answer_delivers(delivery: WebhookDelivery) -> None:
    webhooks.claim(delivery.pk)
    webhooks.finish_attempt(delivery.pk, answer(204))
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    assert delivery.attempts.get().response_body == "body"


@pytest.mark.parametrize("status", [None, 500, 302])
def test_any_other_answer_is_retried_until_the_retries_end(delivery: WebhookDelivery, status: int | None) -> None:
    for _ in range(len(webhooks.RETRY_SECONDS)):
        webhooks.finish_attempt(delivery.pk, answer(status))
        delivery.refresh_from_db()
        assert delivery.state == "pending"
        assert delivery.next_attempt_at is not None
        assert delivery.next_attempt_at > timezone.now()
    webhooks.finish_attempt(delivery.pk, answer(status))
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_410_gives_up_at_once(delivery: WebhookDelivery) -> None:
    webhooks.finish_attempt(delivery.pk, answer(410))
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_the_sweeper_finds_an_abandoned_delivery(delivery: WebhookDelivery) -> None:
    assert webhooks.take_due() == []
    due_now(delivery)
    assert webhooks.take_due() == [delivery.pk]
    assert webhooks.take_due() == []


def test_a_duplicate_task_does_not_send_early(delivery: WebhookDelivery) -> None:
    webhooks.claim(delivery.pk)
    webhooks.finish_attempt(delivery.pk, answer(500))
    assert webhooks.claim(delivery.pk) is None


class TestReplay:
    def test_a_replay_has_its_own_retries(self, delivery: WebhookDelivery) -> None:
        for _ in range(len(webhooks.RETRY_SECONDS) + 1):
            webhooks.finish_attempt(delivery.pk, answer(500))
        webhooks.replay(delivery.pk, actor=ACTOR)
        for _ in range(len(webhooks.RETRY_SECONDS)):
            webhooks.finish_attempt(delivery.pk, answer(500))
            delivery.refresh_from_db()
            assert delivery.state == "pending"
        webhooks.finish_attempt(delivery.pk, answer(500))
        delivery.refresh_from_db()
        assert delivery.state == "failed"

    def test_it_keeps_its_message_id_and_is_due_at_once(self, delivery: WebhookDelivery) -> None:
        first = webhooks.claim(delivery.pk)
        webhooks.finish_attempt(delivery.pk, answer(204))
        webhooks.replay(delivery.pk, actor=ACTOR)
        second = webhooks.claim(delivery.pk)
        assert first is not None
        assert second == first

    def test_the_sweeper_finds_it_if_the_queue_lost_it(self, delivery: WebhookDelivery) -> None:
        webhooks.finish_attempt(delivery.pk, answer(410))
        webhooks.replay(delivery.pk, actor=ACTOR)
        assert webhooks.take_due() == []
        due_now(delivery)
        assert webhooks.take_due() == [delivery.pk]

    def test_a_pending_or_synchronous_one_is_refused_and_not_audited(self, delivery: WebhookDelivery) -> None:
        with pytest.raises(webhooks.DeliveryPendingError):
            webhooks.replay(delivery.pk, actor=ACTOR)
        WebhookDelivery.objects.update(synchronous=True, state="failed")
        with pytest.raises(webhooks.NotReplayableError):
            webhooks.replay(delivery.pk, actor=ACTOR)
        assert not AuditEntry.objects.filter(action="webhook.replay").exists()
