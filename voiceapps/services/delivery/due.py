"""Deliveries that become due, and the announcement of it to the worker that sends them."""

from __future__ import annotations

from celery import current_app
from django.db import transaction
from django.utils import timezone

from voiceapps.models import WebhookDelivery
from voiceapps.services.announcements import Announcer


def make_due(delivery: WebhookDelivery) -> None:
    """Make a delivery due and announce it when the transaction commits; the caller saves it."""
    delivery.next_attempt_at = timezone.now()
    transaction.on_commit(_announcer.put)


def _start_task() -> None:
    current_app.send_task("voiceapps.tasks.send_webhooks", retry=False)


_announcer = Announcer(_start_task)
