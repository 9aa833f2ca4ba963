"""Waits of deliveries that a clock which was set back has made too long."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from voiceapps.choices import DeliveryState
from voiceapps.models import WebhookAttempt, WebhookDelivery
from voiceapps.models.nodes import CLOCKS_DIFFER
from voiceapps.services.delivery.claims import LEASE_SECONDS


def shorten() -> int:
    """Make due the deliveries that wait for a clock to catch up, and return their number.

    Those are known by a last attempt or a replay in the future, or by no attempt at all: a new delivery waits for the end of a claim at
    most. An attempt at the very time of the replay was made behind it, by the new clock, and so is its wait.
    """
    now = timezone.now()
    newest = WebhookAttempt.objects.filter(delivery=OuterRef("pk")).order_by("-id").values("at")[:1]
    late = now + timedelta(seconds=LEASE_SECONDS) + CLOCKS_DIFFER
    waiting = WebhookDelivery.without_secrets().filter(state=DeliveryState.PENDING, next_attempt_at__gt=late)
    ahead = now + CLOCKS_DIFFER
    tried = Q(last_at__gt=ahead) & (Q(replayed_at=None) | Q(last_at__gt=F("replayed_at")))
    replayed = Q(replayed_at__gt=ahead, last_at__lt=F("replayed_at"))
    stale = waiting.annotate(last_at=Subquery(newest)).filter(Q(last_at=None) | tried | replayed)
    return stale.update(next_attempt_at=now)
