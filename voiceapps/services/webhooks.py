"""The outbox of webhooks: a delivery is stored first, a task sends it, and each attempt is stored.

A task carries the id of a row only. The broker may lose it: the sweeper finds every row that is due, so delivery depends
on the database alone. No request is sent inside a transaction.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from voiceapps.choices import DeliveryState
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.models import Call, WebhookAttempt, WebhookDelivery
from voiceapps.models.applications import URL_LENGTH
from voiceapps.rules import webhook_bodies
from voiceapps.rules.masking import masked_text, masked_url
from voiceapps.rules.outbound import OutboundAnswer, OutboundRequest
from voiceapps.rules.reports import StatusEventQueued, WebhookFetched
from voiceapps.services import audit
from voiceapps.services.announcements import Announcer
from voiceapps.services.audit import Actor
from voiceapps.services.call_rows import ensure, storable

# Waits after each failed attempt; when they are used up, the delivery has failed.
RETRY_SECONDS = (5, 30, 120, 600, 3600)
# A task that claimed a row has this long before another one may claim it.
LEASE_SECONDS = 60
# An announced row is not announced again for this long: more tasks for the same rows do not help a lagging queue.
ANNOUNCE_SECONDS = 20
MAX_ANNOUNCED = 500
"""Deliveries that one sweep announces."""
MAX_STORED_BODY = 64 * 1024


class NotReplayableError(Exception):
    """The delivery is of a kind that cannot be sent again."""


class DeliveryPendingError(Exception):
    """The delivery is still being tried."""


def queue_disconnect(call: Call) -> None:
    """Queue the call's disconnect webhook, if its application has a status URL."""
    application = call.application
    if application is None or not application.status_url:
        return
    _queue(
        WebhookDelivery(
            account_id=call.account_id,
            call=call,
            event_type="disconnect",
            **_place(application.status_url),
            method=application.status_method,
            username=application.callback_username,
            password=application.callback_password,
            body=_disconnect_body(call),
            created_at=timezone.now(),
        )
    )


def queue_status_event(report: StatusEventQueued) -> None:
    """Queue a webhook for a URL in BXML."""
    ensure(report.call)
    when = datetime.fromtimestamp(report.at, UTC)
    _queue(
        WebhookDelivery(
            account_id=report.call.account_id,
            call_id=report.call.call_id,
            event_type=report.event_type,
            **_place(report.url),
            method=report.method,
            username=report.username,
            password=report.password,
            body=dict(report.body),
            created_at=when,
        )
    )


def add_fetched(report: WebhookFetched) -> None:
    """Store a webhook that the call flow has sent already, with its answer."""
    ensure(report.call)
    when = datetime.fromtimestamp(report.at, UTC)
    answered = report.status is not None and 200 <= report.status < 300
    delivery = WebhookDelivery.objects.create(
        account_id=report.call.account_id,
        call_id=report.call.call_id,
        event_type=report.event_type,
        synchronous=True,
        url=report.url,
        method=report.method,
        body=json.loads(report.request_body),
        state=DeliveryState.DELIVERED if answered else DeliveryState.FAILED,
        created_at=when,
    )
    WebhookAttempt.objects.create(
        delivery=delivery,
        at=when,
        url=report.url,
        status=report.status,
        response_body=storable(report.response_body)[:MAX_STORED_BODY],
        latency_ms=report.latency_ms,
        error=report.error or "",
    )


@transaction.atomic
def claim(delivery_id: UUID) -> OutboundRequest | None:
    """Claim a delivery that is due and return its request, None if another task has claimed it or it has ended."""
    due = WebhookDelivery.objects.select_for_update().filter(
        pk=delivery_id, state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now()
    )
    delivery = due.first()
    if delivery is None:
        return None
    _plan(delivery, LEASE_SECONDS)
    return OutboundRequest(
        url=delivery.target or delivery.url,
        method=delivery.method,
        body=delivery.body,
        username=delivery.username,
        password=delivery.password,
        account_id=delivery.account_id,
        message_id=f"msg_{delivery.pk.hex}",
    )


@transaction.atomic
def finish_attempt(delivery_id: UUID, answer: OutboundAnswer) -> None:
    """Store an attempt's answer and close the delivery, plan the next attempt, or give up."""
    delivery = WebhookDelivery.objects.select_for_update().get(pk=delivery_id)
    WebhookAttempt.objects.create(
        delivery=delivery,
        at=timezone.now(),
        url=delivery.url,
        status=answer.status,
        response_body=masked_text(storable(answer.text()))[:MAX_STORED_BODY],
        latency_ms=answer.latency_ms,
        error=answer.error or "",
    )
    failures = _attempts_of_this_round(delivery)
    if answer.status is not None and 200 <= answer.status < 300:
        _close(delivery, DeliveryState.DELIVERED)
    elif answer.status == 410 or failures > len(RETRY_SECONDS):
        _close(delivery, DeliveryState.FAILED)
    else:
        _plan(delivery, RETRY_SECONDS[failures - 1])


@transaction.atomic
def take_due() -> list[UUID]:
    """Return the deliveries to announce now, the oldest first. Each is returned again after `ANNOUNCE_SECONDS` at the earliest."""
    due = WebhookDelivery.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    due = due.filter(state=DeliveryState.PENDING, announce_at__lte=timezone.now()).order_by("announce_at")
    taken = list(due.values_list("pk", flat=True)[:MAX_ANNOUNCED])
    again = timezone.now() + timedelta(seconds=ANNOUNCE_SECONDS)
    WebhookDelivery.objects.filter(pk__in=taken).update(announce_at=again)
    return taken


@transaction.atomic
def replay(delivery_id: UUID, *, actor: Actor) -> None:
    """Send a delivery again, now and with all its retries, under its old message id.

    Raises NotReplayableError, DeliveryPendingError, WebhookDelivery.DoesNotExist.
    """
    delivery = WebhookDelivery.objects.select_for_update().get(pk=delivery_id)
    if delivery.synchronous:
        raise NotReplayableError("A call waited for the answer to this webhook and has gone on.")
    if delivery.state == DeliveryState.PENDING:
        raise DeliveryPendingError("The delivery is still being tried.")
    audit.record(
        actor,
        "webhook.replay",
        str(delivery.pk),
        {"event_type": delivery.event_type, "call": delivery.call_id, "state": delivery.state},
        account=delivery.account_id,
    )
    delivery.state, delivery.replayed_at = DeliveryState.PENDING, timezone.now()
    _announce_now(delivery)
    delivery.save(update_fields=["state", "replayed_at", "next_attempt_at", "announce_at"])


def send(request: OutboundRequest) -> OutboundAnswer:
    """Return the answer to one request. It blocks: call it in a thread without an event loop, never inside a transaction."""
    return asyncio.run(_send(request))


def _announce_now(delivery: WebhookDelivery) -> None:
    """Make a delivery due and announce it when the transaction commits; the caller saves it."""
    delivery.next_attempt_at = timezone.now()
    delivery.announce_at = timezone.now() + timedelta(seconds=ANNOUNCE_SECONDS)
    transaction.on_commit(partial(_announcer.put, str(delivery.pk)))


def _attempts_of_this_round(delivery: WebhookDelivery) -> int:
    """Return the number of attempts since the last replay, which has its own retries."""
    attempts = delivery.attempts.all()
    if delivery.replayed_at is not None:
        attempts = attempts.filter(at__gte=delivery.replayed_at)
    return attempts.count()


def _queue(delivery: WebhookDelivery) -> None:
    _announce_now(delivery)
    delivery.save(force_insert=True)


def _place(url: str) -> dict[str, str]:
    """Return the columns of a delivery that hold its URL."""
    shown = masked_url(url)
    return {"url": shown[:URL_LENGTH], "target": "" if shown == url else url}


def _plan(delivery: WebhookDelivery, seconds: float) -> None:
    """Plan the next attempt in `seconds`, when the sweeper will announce it."""
    delivery.next_attempt_at = delivery.announce_at = timezone.now() + timedelta(seconds=seconds)
    delivery.save(update_fields=["next_attempt_at", "announce_at"])


def _close(delivery: WebhookDelivery, state: DeliveryState) -> None:
    delivery.state, delivery.next_attempt_at, delivery.announce_at = state, None, None
    delivery.save(update_fields=["state", "next_attempt_at", "announce_at"])


def _start_task(delivery_id: str) -> None:
    current_app.send_task("voiceapps.tasks.send_webhook", args=[delivery_id], retry=False)


_announcer = Announcer(_start_task)


async def _send(request: OutboundRequest) -> OutboundAnswer:
    client = WebhookClient(allow_private=settings.WEBHOOK_ALLOW_PRIVATE, signing_key=settings.SIPURI_WEBHOOK_KEY)
    try:
        return await client.send(request)
    finally:
        await client.close()


def _disconnect_body(call: Call) -> webhook_bodies.Payload:
    assert call.ended_at is not None  # noqa: S101  # our own rule: the body is written when the call has ended
    view = webhook_bodies.CallView(
        facts=call.facts(),
        public_url=settings.PUBLIC_URL,
        at=call.ended_at.timestamp(),
        answered_at=call.answered_at.timestamp() if call.answered_at else None,
        tag=call.tag,
    )
    return webhook_bodies.disconnect(view, cause=call.cause, error_message=call.error_message or None, error_id=call.error_id or None)
