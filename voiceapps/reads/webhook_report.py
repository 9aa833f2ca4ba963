"""What is known of one webhook delivery: the request, each attempt, and what will happen next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from voiceapps.choices import DeliveryState
from voiceapps.models import VoiceApplication, WebhookAttempt, WebhookDelivery
from voiceapps.rules.diagnosis.deliveries import Standing, what_follows
from voiceapps.rules.diagnosis.personal import short_body, short_numbers
from voiceapps.services.delivery import failing_hosts
from voiceapps.services.delivery.attempts import MAX_TRIES, is_sending
from voiceapps.services.delivery.pacing import host_of


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One request, with its answer."""

    at: datetime
    url: str
    status: int | None
    """None where no HTTP answer came."""
    latency_ms: int
    error: str
    answer: str


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A delivery with all that went over the wire, its secrets masked."""

    delivery_id: UUID
    event_type: str
    account_id: str
    application_id: UUID | None
    application_name: str
    call_id: str
    synchronous: bool
    method: str
    url: str
    host: str
    username: str
    state: str
    created_at: datetime
    replayed_at: datetime | None
    next_attempt_at: datetime | None
    body: str
    """As it is sent, indented."""
    attempts: tuple[AttemptLine, ...]
    """The newest ones, in the order of their time."""
    is_sending: bool
    rests_until: datetime | None
    """Nothing is sent to its host until then; None if it does not rest."""
    follows: str
    """What will happen next, in one sentence."""

    @property
    def status(self) -> int | None:
        """The status of the newest answer, None if there is none."""
        return self.attempts[-1].status if self.attempts else None


def delivery_report(delivery_id: UUID, account: str | None = None, *, personal: bool = True) -> DeliveryReport | None:
    """Return everything stored about a delivery, None if it is unknown, or not one of `account`.

    Without `personal`, what leads to the caller is left out of the bodies.
    """
    unread = (f"call__{name}" for name in VoiceApplication.JOINED_SECRETS)
    rows = WebhookDelivery.without_secrets().select_related("call__application").defer(*unread)
    row = rows.filter(pk=delivery_id, **({} if account is None else {"account": account})).first()
    return None if row is None else _report(row, row.newest_attempts(), personal=personal)


def newest_document(delivery_id: UUID, account: str | None = None) -> str:
    """Return what was answered last to a delivery whose answer a call waited for, "" if nothing was."""
    own = {} if account is None else {"delivery__account": account}
    rows = WebhookAttempt.objects.filter(delivery=delivery_id, delivery__synchronous=True, **own).order_by("-at", "-id")
    return rows.values_list("response_body", flat=True).first() or ""


def _report(row: WebhookDelivery, attempts: Sequence[WebhookAttempt], *, personal: bool) -> DeliveryReport:
    now, application = timezone.now(), row.call.application
    is_pending = row.state == DeliveryState.PENDING
    host = failing_hosts.of(row) if is_pending else None
    sending = is_pending and is_sending(row, now)
    rests_until = host.rests_until if host is not None and failing_hosts.rests(host) else None
    body: object = row.body if personal else short_body(row.body)
    same = ("event_type", "account_id", "call_id", "synchronous", "method", "url", "username", "state", "created_at", "replayed_at")
    return DeliveryReport(
        delivery_id=row.pk,
        **{name: getattr(row, name) for name in same},
        application_id=row.call.application_id,
        application_name=application.name if application else "",
        host=row.host or host_of(row.url),
        next_attempt_at=row.next_attempt_at,
        body=json.dumps(body, indent=2, ensure_ascii=False),
        attempts=tuple(_line(attempt, personal=personal) for attempt in attempts),
        is_sending=sending,
        rests_until=rests_until,
        follows=what_follows(_standing(row, attempts, now, is_sending=sending, rests_until=rests_until)),
    )


def _standing(
    row: WebhookDelivery, attempts: Sequence[WebhookAttempt], now: datetime, *, is_sending: bool, rests_until: datetime | None
) -> Standing:
    of_this_round = [one for one in attempts if row.replayed_at is None or one.at >= row.replayed_at]
    return Standing(
        state=row.state,
        synchronous=row.synchronous,
        now=now,
        next_attempt_at=row.next_attempt_at,
        is_sending=is_sending,
        tries_left=MAX_TRIES - len(of_this_round),
        status=attempts[-1].status if attempts else None,
        host=row.host,
        rests_until=rests_until,
    )


def _line(row: WebhookAttempt, *, personal: bool) -> AttemptLine:
    answer = row.response_body if personal else short_numbers(row.response_body)
    return AttemptLine(row.at, row.url, row.status, row.latency_ms, row.error, answer)
