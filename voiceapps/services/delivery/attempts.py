"""What came of attempts: each closes its delivery, plans the next attempt, or gives up. Every function is called in a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, F, Q
from django.utils import timezone

from voiceapps.choices import DeliveryState, FigureKind
from voiceapps.models import WebhookAttempt, WebhookDelivery
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.masking import masked_text
from voiceapps.services.call_rows import storable
from voiceapps.services.figures import marks

RETRY_SECONDS = (5, 30, 120, 600, 3600)
"""Waits after each failed attempt; when they are used up, the delivery has failed."""
MAX_TRIES = 1 + len(RETRY_SECONDS)
MAX_STORED_BODY = 64 * 1024


def conclude(answers: Sequence[tuple[WebhookDelivery, OutboundAnswer]]) -> None:
    """Store attempts, and what follows of each for its delivery."""
    if not answers:
        return
    now = timezone.now()
    _store([_attempt(row, answer, now) for row, answer in answers])
    attempts = _attempts_of_this_round(row.pk for row, _ in answers)
    for row, answer in answers:
        row.state, row.next_attempt_at = _what_follows(answer, attempts[row.pk], now)
    WebhookDelivery.objects.bulk_update((row for row, _ in answers), ["state", "next_attempt_at"])
    over = [row.pk for row, _ in answers if row.state != DeliveryState.PENDING]
    WebhookDelivery.objects.filter(pk__in=over).exclude(hidden="").update(hidden="")


def is_sending(row: WebhookDelivery, now: datetime) -> bool:
    """Return whether a worker has a pending delivery: it is to be due at a time that no attempt has planned."""
    if row.next_attempt_at is None or row.next_attempt_at <= now:
        return False
    newest = row.attempts.order_by("-at", "-id").values_list("at", flat=True).first()
    return newest is None or (row.next_attempt_at - newest).total_seconds() not in RETRY_SECONDS


def give_up(rows: Collection[WebhookDelivery], error: str) -> None:
    """Store for each delivery, as its last attempt, why it cannot be sent at all."""
    if not rows:
        return
    now, answer = timezone.now(), OutboundAnswer(None, b"", "", 0, error)
    _store([_attempt(row, answer, now) for row in rows])
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows]).update(state=DeliveryState.FAILED, next_attempt_at=None, hidden="")


def _store(attempts: Sequence[WebhookAttempt]) -> None:
    WebhookAttempt.objects.bulk_create(attempts)
    marks.touch(FigureKind.WEBHOOKS, [attempt.at.timestamp() for attempt in attempts])


def _attempt(row: WebhookDelivery, answer: OutboundAnswer, now: datetime) -> WebhookAttempt:
    return WebhookAttempt(
        delivery=row,
        # Attempts are counted from the replay on, also where the clock was set back behind it.
        at=max(now, row.replayed_at or now),
        url=row.url,
        status=answer.status,
        response_body=masked_text(storable(answer.text()))[:MAX_STORED_BODY],
        latency_ms=answer.latency_ms,
        error=answer.error or "",
    )


def _attempts_of_this_round(deliveries: Iterable[UUID]) -> dict[UUID, int]:
    """Return how often each was tried since its last replay, which has its own retries."""
    attempts = WebhookAttempt.objects.filter(delivery__in=list(deliveries)).order_by()
    attempts = attempts.filter(Q(delivery__replayed_at=None) | Q(at__gte=F("delivery__replayed_at")))
    return dict(attempts.values_list("delivery").annotate(count=Count("pk")))


def _what_follows(answer: OutboundAnswer, attempts: int, now: datetime) -> tuple[DeliveryState, datetime | None]:
    if answer.problem() is None:
        return DeliveryState.DELIVERED, None
    if answer.status == 410 or attempts >= MAX_TRIES:
        return DeliveryState.FAILED, None
    return DeliveryState.PENDING, now + timedelta(seconds=RETRY_SECONDS[attempts - 1])
