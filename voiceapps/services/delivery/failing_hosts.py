"""The circuit breaker of deliveries: hosts that fail again and again are left alone for a while, and then asked by one request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from voiceapps.choices import DeliveryState
from voiceapps.models import FailingHost, WebhookDelivery
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.delivery import attempts
from voiceapps.services.delivery.due import make_due
from voiceapps.services.delivery.pacing import REST_AFTER, REST_SECONDS, Destination, is_failure

MAX_HOSTS = 500
"""Failing hosts that are kept of an account: its documents may name any number."""
FORGET_AFTER = timedelta(days=1)
MAX_LOOKED_AT = 10
"""Pending deliveries of a host among which one is looked for that no worker has."""


class NotRestingError(Exception):
    """The host is one to which is sent."""


def find(destinations: Iterable[Destination]) -> dict[Destination, FailingHost]:
    """Return those of the destinations that fail."""
    wanted = set(destinations)
    if not wanted:
        return {}
    rows = FailingHost.objects.filter(account__in={one.account_id for one in wanted}, host__in={one.host for one in wanted})
    by_destination = {Destination(row.account_id, row.host): row for row in rows}
    return {destination: by_destination[destination] for destination in wanted & by_destination.keys()}


def of(delivery: WebhookDelivery) -> FailingHost | None:
    """Return what is known of the host of a delivery, None if it does not fail."""
    return FailingHost.objects.filter(account=delivery.account_id, host=delivery.host).first()


def rests(host: FailingHost) -> bool:
    """Return whether a host is left alone now; a rest that is longer than any of ours was planned before the clock was set back."""
    begin, end = _rests_that_last()
    return host.rests_until is not None and begin < host.rests_until <= end


def resting() -> Exists:
    """Return the condition that a delivery goes to such a host."""
    begin, end = _rests_that_last()
    hosts = FailingHost.objects.filter(account=OuterRef("account"), host=OuterRef("host"), rests_until__gt=begin, rests_until__lte=end)
    return Exists(hosts.order_by())


def note(answers: Sequence[tuple[Destination, OutboundAnswer]]) -> None:
    """Count answers in their order; one that is no failure makes a host well again."""
    now = timezone.now()
    known = find(destination for destination, _ in answers)
    before = list(known.values())
    for destination, answer in answers:
        if is_failure(answer):
            known[destination] = _failed_again(known.get(destination), destination, answer, now)
        else:
            known.pop(destination, None)
    failing = list(known.values())
    if well := [row.pk for row in before if row not in failing]:
        FailingHost.objects.filter(pk__in=well).delete()
    _save(failing)


@transaction.atomic
def ask_now(host_id: int, *, actor: Actor) -> bool:
    """End the rest of a host, and make due the first delivery that waits for it; return whether one does.

    Until the host answers it still gets one request at a time. Raises NotRestingError, FailingHost.DoesNotExist.
    """
    host, now = FailingHost.objects.select_for_update().get(pk=host_id), timezone.now()
    if host.rests_until is None or not rests(host):
        raise NotRestingError(f"{host.host} does not rest: what is due is sent to it.")
    before: dict[str, object] = {"rests_until": host.rests_until.isoformat()}
    audit.record(actor, "failing_host.ask", host.host, {"rests_until": now.isoformat()}, account=host.account_id, before=before)
    host.rests_until = now
    host.save(update_fields=["rests_until"])
    waiting = _first_waiting(host, now)
    if waiting is None:
        return False
    make_due(waiting)
    waiting.save(update_fields=["next_attempt_at"])
    return True


def _first_waiting(host: FailingHost, now: datetime) -> WebhookDelivery | None:
    """Return the delivery to a host that would be due first; a worker that has one is not waited for: it may wait for the host's row."""
    pending = WebhookDelivery.without_secrets().filter(state=DeliveryState.PENDING, account=host.account_id, host=host.host)
    rows = pending.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked).order_by("next_attempt_at")
    return next((row for row in rows[:MAX_LOOKED_AT] if not attempts.is_sending(row, now)), None)


def sweep() -> int:
    """Forget the hosts to which nothing was sent for a day; return their number."""
    return FailingHost.objects.filter(last_at__lt=timezone.now() - FORGET_AFTER).delete()[0]


def _rests_that_last() -> tuple[datetime, datetime]:
    now = timezone.now()
    return now, now + timedelta(seconds=2 * REST_SECONDS)


def _failed_again(row: FailingHost | None, destination: Destination, answer: OutboundAnswer, now: datetime) -> FailingHost:
    if row is None:
        row = FailingHost(account_id=destination.account_id, host=destination.host, failures=0, since=now)
    row.failures += 1
    row.last_at = now
    row.error = answer.problem() or ""
    if row.failures >= REST_AFTER:
        row.rests_until = now + timedelta(seconds=REST_SECONDS)
    return row


def _save(rows: Sequence[FailingHost]) -> None:
    new = [row for row in rows if row.pk is None]
    FailingHost.objects.bulk_update((row for row in rows if row.pk is not None), ["failures", "last_at", "error", "rests_until"])
    for account_id in {row.account_id for row in new}:
        room = MAX_HOSTS - FailingHost.objects.filter(account=account_id).count()
        some = [row for row in new if row.account_id == account_id][: max(room, 0)]
        # Another worker may have made the same row: its count is as good.
        FailingHost.objects.bulk_create(some, ignore_conflicts=True)
