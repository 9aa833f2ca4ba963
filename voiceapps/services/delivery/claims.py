"""Sending webhooks: what is due is claimed in batches, and so are answers stored.

A claim lasts as long as an attempt may take; if nothing is stored by then, the delivery is due again. No request is sent inside a
transaction. What is encrypted is read apart and opened row by row, so that one that no key opens stops no other one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_
from uuid import UUID

import structlog
from cryptography.fernet import InvalidToken
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from voiceapps import fields
from voiceapps.choices import DeliveryState
from voiceapps.models import FailingHost, WebhookDelivery
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.services.delivery import attempts, failing_hosts
from voiceapps.services.delivery.pacing import Destination, Room

LEASE_SECONDS = 60
"""How long a claimed delivery is nobody else's."""
MAX_CLAIMED = 64
"""Deliveries that one transaction claims."""
UNREADABLE = "Not sent: no key in SIPURI_FIELD_KEYS opens its URL or its password. Put back the key that wrote them, and send it again."

log = structlog.get_logger(__name__)


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
    """Claim what is due and finds room, the oldest first, but for what goes to hosts that rest."""
    while _due(room).exists():
        claimed, is_all = _claim_some(room)
        if claimed or is_all:
            return claimed
    return []


def fail_resting() -> bool:
    """Fail a portion of the attempts that are due at hosts that rest; return whether there may be more.

    They may be thousands: whoever has them failed claims between two portions what goes to other hosts.
    """
    with transaction.atomic():
        rows = _locked(_all_due().filter(failing_hosts.resting()))
        hosts = failing_hosts.find(map(_destination, rows))
        there = [(row, hosts[_destination(row)]) for row in rows if _destination(row) in hosts]
        # A host may have answered since the rows were read.
        attempts.conclude([(row, _refused(host)) for row, host in there if failing_hosts.rests(host)])
    return len(rows) == MAX_CLAIMED


def store(answers: Sequence[Answered]) -> None:
    """Store attempts with their answers: each closes its delivery, plans the next attempt, or gives up."""
    by_id = {one.claimed.delivery_id: one for one in answers}
    with transaction.atomic():
        rows = WebhookDelivery.without_secrets().select_for_update().filter(pk__in=by_id).order_by("pk")
        attempts.conclude([(row, by_id[row.pk].answer) for row in rows])
        failing_hosts.note([(one.claimed.destination, one.answer) for one in answers])


def _claim_some(room: Room) -> tuple[list[Claimed], bool]:
    """Claim of the oldest that are due what finds room; return also whether there are no others."""
    with transaction.atomic():
        rows = _locked(_due(room))
        hosts = failing_hosts.find(map(_destination, rows))
        claimed = [row for row in rows if _finds_room(row, room, hosts.get(_destination(row)))]
        until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
        WebhookDelivery.objects.filter(pk__in=[row.pk for row in claimed]).update(next_attempt_at=until)
        requests = _requests(claimed)
        _give_up_unreadable([row for row in claimed if row.pk not in requests])
    return [Claimed(row.pk, _destination(row), requests[row.pk]) for row in claimed if row.pk in requests], len(rows) < MAX_CLAIMED


def _all_due() -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.without_secrets().filter(state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now())


def _locked(due: QuerySet[WebhookDelivery]) -> list[WebhookDelivery]:
    """Lock the oldest deliveries that nobody else has locked."""
    rows = due.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    return list(rows.order_by("next_attempt_at")[:MAX_CLAIMED])


def _due(room: Room) -> QuerySet[WebhookDelivery]:
    due = _all_due().exclude(failing_hosts.resting())
    if accounts := room.full_accounts():
        due = due.exclude(account__in=accounts)
    if full := room.full_destinations():
        due = due.exclude(reduce(or_, (Q(account=one.account_id, host=one.host) for one in full)))
    return due


def _destination(row: WebhookDelivery) -> Destination:
    return Destination(row.account_id, row.host)


def _finds_room(row: WebhookDelivery, room: Room, host: FailingHost | None) -> bool:
    return room.take(_destination(row), alone=host is not None and host.rests_until is not None)


def _refused(host: FailingHost) -> OutboundAnswer:
    assert host.rests_until is not None  # noqa: S101  # our own rule: it rests
    error = f"Not sent: {host.host} failed {host.failures} times in a row, and rests until {host.rests_until:%H:%M:%S} UTC."
    return OutboundAnswer(None, b"", "", 0, error)


def _requests(rows: Sequence[WebhookDelivery]) -> dict[UUID, OutboundRequest]:
    """Return the requests of those deliveries whose encrypted fields can be read, by their ids."""
    of_them = WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows])
    sealed = {pk: tokens for pk, *tokens in of_them.values_list("pk", *map(fields.stored, WebhookDelivery.SECRETS))}
    requests = {}
    for row in rows:
        with suppress(InvalidToken):
            target, password, hidden = map(fields.decrypted, sealed[row.pk])
            requests[row.pk] = _request(row, target, password, json.loads(hidden or "{}"))
    return requests


def _request(row: WebhookDelivery, target: str, password: str, hidden: Mapping[str, object]) -> OutboundRequest:
    return OutboundRequest(
        url=target or row.url,
        method=row.method,
        body=row.body | hidden,
        username=row.username,
        password=password,
        account_id=row.account_id,
        message_id=f"msg_{row.pk.hex}",
    )


def _give_up_unreadable(rows: Collection[WebhookDelivery]) -> None:
    attempts.give_up(rows, UNREADABLE)
    for row in rows:
        log.error("delivery_unreadable", delivery=str(row.pk), error=UNREADABLE)
