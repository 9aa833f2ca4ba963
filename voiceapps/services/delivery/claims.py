"""Sending webhooks: what is due is claimed in batches, and so are answers stored.

A claim lasts as long as an attempt may take; if nothing is stored by then, the delivery is due again. No request is sent inside a
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from voiceapps.choices import DeliveryState
from voiceapps.models import FailingHost, WebhookAttempt, WebhookDelivery
from voiceapps.rules.masking import masked_text
from voiceapps.rules.outbound import OutboundAnswer, OutboundRequest
from voiceapps.services.call_rows import storable
from voiceapps.services.delivery import failing_hosts
from voiceapps.services.delivery.pacing import Destination, Room

RETRY_SECONDS = (5, 30, 120, 600, 3600)
"""Waits after each failed attempt; when they are used up, the delivery has failed."""
LEASE_SECONDS = 60
"""How long a claimed delivery is nobody else's."""
MAX_CLAIMED = 64
"""Deliveries that one transaction claims."""
MAX_STORED_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery to be sent now."""

    delivery_id: UUID
    destination: Destination
    request: OutboundRequest


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of sending a delivery."""

    claimed: Claimed
    answer: OutboundAnswer


def claim(room: Room) -> list[Claimed]:
    """Claim what is due and finds room, the oldest first; attempts at hosts that rest have failed at once."""
    while _due(room).exists():
        claimed, is_all = _claim_some(room)
        if claimed or is_all:
            return claimed
    return []


def store(answers: Sequence[Answered]) -> None:
    """Store attempts with their answers: each closes its delivery, plans the next attempt, or gives up."""
    by_id = {one.claimed.delivery_id: one for one in answers}
    with transaction.atomic():
        rows = WebhookDelivery.objects.select_for_update().filter(pk__in=by_id).order_by("pk")
        _store([(row, by_id[row.pk].answer) for row in rows])
        failing_hosts.note([(one.claimed.destination, one.answer) for one in answers])


def _claim_some(room: Room) -> tuple[list[Claimed], bool]:
    """Claim of the oldest that are due what finds room; return also whether there are no others."""
    with transaction.atomic():
        locked = _due(room).select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        rows = list(locked.order_by("next_attempt_at")[:MAX_CLAIMED])
        hosts = failing_hosts.find(map(_destination, rows))
        resting = [row for row in rows if _rests(hosts.get(_destination(row)))]
        claimed = [row for row in rows if row not in resting and _finds_room(row, room, hosts.get(_destination(row)))]
        until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
        WebhookDelivery.objects.filter(pk__in=[row.pk for row in claimed]).update(next_attempt_at=until)
        _store([(row, _refused(hosts[_destination(row)])) for row in resting])
    return [Claimed(row.pk, _destination(row), _request(row)) for row in claimed], len(rows) < MAX_CLAIMED


def _due(room: Room) -> QuerySet[WebhookDelivery]:
    due = WebhookDelivery.objects.filter(state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now())
    if accounts := room.full_accounts():
        due = due.exclude(account__in=accounts)
    if full := room.full_destinations():
        due = due.exclude(reduce(or_, (Q(account=one.account_id, host=one.host) for one in full)))
    return due


def _destination(row: WebhookDelivery) -> Destination:
    return Destination(row.account_id, row.host)


def _rests(host: FailingHost | None) -> bool:
    return host is not None and host.rests_until is not None and host.rests_until > timezone.now()


def _finds_room(row: WebhookDelivery, room: Room, host: FailingHost | None) -> bool:
    return room.take(_destination(row), alone=host is not None and host.rests_until is not None)


def _refused(host: FailingHost) -> OutboundAnswer:
    assert host.rests_until is not None  # noqa: S101  # our own rule: it rests
    error = f"Not sent: {host.host} failed {host.failures} times in a row, and rests until {host.rests_until:%H:%M:%S} UTC."
    return OutboundAnswer(None, b"", "", 0, error)


def _request(row: WebhookDelivery) -> OutboundRequest:
    return OutboundRequest(
        url=row.target or row.url,
        method=row.method,
        body=row.body,
        username=row.username,
        password=row.password,
        account_id=row.account_id,
        message_id=f"msg_{row.pk.hex}",
    )


def _store(answers: Sequence[tuple[WebhookDelivery, OutboundAnswer]]) -> None:
    if not answers:
        return
    now = timezone.now()
    WebhookAttempt.objects.bulk_create([_attempt(row, answer, now) for row, answer in answers])
    attempts = _attempts_of_this_round(row.pk for row, _ in answers)
    for row, answer in answers:
        row.state, row.next_attempt_at = _what_follows(answer, attempts[row.pk], now)
    WebhookDelivery.objects.bulk_update((row for row, _ in answers), ["state", "next_attempt_at"])


def _attempt(row: WebhookDelivery, answer: OutboundAnswer, now: datetime) -> WebhookAttempt:
    return WebhookAttempt(
        delivery=row,
        at=now,
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
    if answer.status == 410 or attempts > len(RETRY_SECONDS):
        return DeliveryState.FAILED, None
    return DeliveryState.PENDING, now + timedelta(seconds=RETRY_SECONDS[attempts - 1])
