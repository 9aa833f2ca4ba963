"""The outbox of webhooks: a delivery is stored first, and then announced to the worker that sends it.

An announcement says only that something is due. The broker may lose it: the worker looks into the table now and then, so delivery depends
on the database alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from voiceapps import fields
from voiceapps.choices import DeliveryState, FigureKind
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.models import Call, Transcription, VoiceApplication, WebhookAttempt, WebhookDelivery
from voiceapps.models.applications import URL_LENGTH
from voiceapps.models.webhooks import HOST_LENGTH
from voiceapps.rules import webhook_bodies
from voiceapps.rules.masking import masked_url
from voiceapps.rules.reports import StatusEventQueued, WebhookFetched
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.call_rows import ensure, storable
from voiceapps.services.delivery import attempts, failing_hosts
from voiceapps.services.delivery.attempts import MAX_STORED_BODY
from voiceapps.services.delivery.due import make_due
from voiceapps.services.delivery.pacing import host_of
from voiceapps.services.figures import marks


class NotReplayableError(Exception):
    """The delivery is of a kind that cannot be sent again."""


class DeliveryPendingError(Exception):
    """The delivery is still being tried."""


class NotHurriedError(Exception):
    """The delivery is not one that waits, or what it waits for cannot be hurried."""


def new_client() -> WebhookClient:
    """Return the client of webhooks as the settings want it; call it on the event loop that uses it."""
    return WebhookClient(allow_private=settings.WEBHOOK_ALLOW_PRIVATE, signing_key=settings.SIPURI_WEBHOOK_KEY)


def queue_disconnects(call_ids: Collection[str]) -> None:
    """Queue the disconnect webhooks of calls whose applications have a status URL.

    A callback password is handed on as it is stored: where no key opens it, the call has ended all the same.
    """
    rows = Call.objects.select_related("application").defer(*VoiceApplication.JOINED_SECRETS)
    rows = rows.annotate(sealed_password=fields.stored("application__callback_password"))
    for call in rows.filter(pk__in=call_ids).order_by("started_at"):
        _queue_disconnect(call, call.sealed_password or "")


def _queue_disconnect(call: Call, sealed_password: str) -> None:
    application = call.application
    if application is None or not application.status_url:
        return
    _queue(
        WebhookDelivery(
            account_id=call.account_id,
            call=call,
            event_type="disconnect",
            **place(application.status_url),
            method=application.status_method,
            username=application.callback_username,
            password=fields.copied(sealed_password),
            body=_disconnect_body(call),
            created_at=timezone.now(),
        )
    )


def queue_transcription(transcription_id: str) -> None:
    """Queue the webhook that says what came of a transcription, if somebody is to hear it; its secrets are handed on as they are stored."""
    rows = Transcription.objects.select_related("recording__call").defer(*Transcription.SECRETS, "clips")
    rows = rows.annotate(sealed_target=fields.stored("callback_target"), sealed_password=fields.stored("callback_password"))
    row = rows.get(pk=transcription_id)
    if not row.callback_url:
        return
    delivery = WebhookDelivery(
        account_id=row.account_id,
        call=row.recording.call,
        event_type="transcriptionAvailable",
        url=row.callback_url,
        host=host_of(row.callback_url)[:HOST_LENGTH],
        method=row.callback_method,
        username=row.callback_username,
        password=fields.copied(row.sealed_password or ""),
        body=_transcription_body(row),
        created_at=timezone.now(),
    )
    _queue(delivery)
    if row.sealed_target:
        # An INSERT returns this column, as it has a default, and would open it.
        WebhookDelivery.objects.filter(pk=delivery.pk).update(target=fields.copied(row.sealed_target))


def queue_status_event(report: StatusEventQueued) -> None:
    """Queue a webhook for a URL in BXML."""
    ensure(report.call)
    when = datetime.fromtimestamp(report.at, UTC)
    _queue(
        WebhookDelivery(
            account_id=report.call.account_id,
            call_id=report.call.call_id,
            event_type=report.event_type,
            **place(report.url),
            method=report.method,
            username=report.username,
            password=report.password,
            body=dict(report.body),
            hidden=json.dumps(report.hidden) if report.hidden else "",
            created_at=when,
        )
    )


def add_fetched(reports: Sequence[WebhookFetched]) -> None:
    """Store webhooks that call flows have sent already, with their answers."""
    for report in reports:
        _add_fetched(report)
    marks.touch(FigureKind.WEBHOOKS, [report.at for report in reports])


def _add_fetched(report: WebhookFetched) -> None:
    ensure(report.call)
    when = datetime.fromtimestamp(report.at, UTC)
    answered = report.status is not None and 200 <= report.status < 300
    delivery = WebhookDelivery.objects.create(
        account_id=report.call.account_id,
        call_id=report.call.call_id,
        event_type=report.event_type,
        synchronous=True,
        url=report.url,
        host=host_of(report.url)[:HOST_LENGTH],
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


def place(url: str) -> dict[str, str]:
    """Return the columns of a delivery that hold its URL."""
    shown = masked_url(url)
    return {"url": shown[:URL_LENGTH], "target": "" if shown == url else url, "host": host_of(url)[:HOST_LENGTH]}


@transaction.atomic
def replay(delivery_id: UUID, *, actor: Actor) -> None:
    """Send a delivery again, now and with all its retries, under its old message id.

    Raises NotReplayableError, DeliveryPendingError, WebhookDelivery.DoesNotExist.
    """
    delivery = WebhookDelivery.without_secrets().select_for_update().get(pk=delivery_id)
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
    make_due(delivery)
    delivery.save(update_fields=["state", "replayed_at", "next_attempt_at"])


@transaction.atomic
def hurry(delivery_id: UUID, *, actor: Actor) -> None:
    """Make a delivery due at once that waits for its next try; its retries stay as they are.

    Raises NotHurriedError, WebhookDelivery.DoesNotExist.
    """
    delivery = WebhookDelivery.without_secrets().select_for_update().get(pk=delivery_id)
    if delivery.state != DeliveryState.PENDING:
        raise NotHurriedError("The delivery is over. It can only be sent again.")
    if attempts.is_sending(delivery, timezone.now()):
        raise NotHurriedError("The delivery is being sent right now.")
    host = failing_hosts.of(delivery)
    if host is not None and failing_hosts.rests(host):
        raise NotHurriedError(f"Nothing is sent to {delivery.host} while it rests: ask the host first.")
    facts: dict[str, object] = {"event_type": delivery.event_type, "call": delivery.call_id}
    audit.record(actor, "webhook.hurry", str(delivery.pk), facts, account=delivery.account_id)
    make_due(delivery)
    delivery.save(update_fields=["next_attempt_at"])


def _queue(delivery: WebhookDelivery) -> None:
    make_due(delivery)
    delivery.save(force_insert=True)


def _disconnect_body(call: Call) -> webhook_bodies.Payload:
    assert call.ended_at is not None  # noqa: S101  # our own rule: the body is written when the call has ended
    view = _view(call, call.ended_at, call.tag)
    return webhook_bodies.disconnect(view, cause=call.cause, error_message=call.error_message or None, error_id=call.error_id or None)


def _transcription_body(row: Transcription) -> webhook_bodies.Payload:
    assert row.ended_at is not None  # noqa: S101  # likewise: it is written when the transcription has ended
    view = _view(row.recording.call, row.ended_at, row.tag)
    return webhook_bodies.transcription_available(view, row.recording.view(), row.transcription_id, status=row.status)


def _view(call: Call, at: datetime, tag: str) -> webhook_bodies.CallView:
    answered_at = call.answered_at.timestamp() if call.answered_at else None
    return webhook_bodies.CallView(call.facts(), settings.PUBLIC_URL, at.timestamp(), answered_at, tag)
