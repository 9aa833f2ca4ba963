"""Waits of deliveries that a clock which was set back has made too long."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from voiceapps.choices import DeliveryState
from voiceapps.models import WebhookAttempt, WebhookDelivery
from voiceapps.models.nodes import CLOCKS_DIFFER
from voiceapps.services.delivery.claims import LEASE_SECONDS


def shorten() -> int:
    """Make due the deliveries that wait for a clock to catch up, and return their number.

    Those are known by a last attempt in the future, or by none at all: a new delivery waits for the end of a claim at most.
    """
    now = timezone.now()
    newest = WebhookAttempt.objects.filter(delivery=OuterRef("pk")).order_by("-id").values("at")[:1]
    late = now + timedelta(seconds=LEASE_SECONDS) + CLOCKS_DIFFER
    waiting = WebhookDelivery.without_secrets().filter(state=DeliveryState.PENDING, next_attempt_at__gt=late)
    stale = waiting.annotate(last_at=Subquery(newest)).filter(Q(last_at=None) | Q(last_at__gt=now + CLOCKS_DIFFER))
    return stale.update(next_attempt_at=now)
