"""Celery's tasks: each takes ids and calls services, nothing else."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from voiceapps.rules.reports import NodeBeat
from voiceapps.services import calls, clients, idempotency, nodes, refusals, webhooks


@shared_task
def send_webhook(delivery_id: str) -> None:
    """Send one delivery that is due."""
    request = webhooks.claim(UUID(delivery_id))
    if request is not None:
        webhooks.finish_attempt(UUID(delivery_id), webhooks.send(request))


@shared_task
def sweep_webhooks() -> None:
    """Start a task for every delivery that is due and that no task has claimed."""
    for delivery_id in webhooks.take_due():
        send_webhook.delay(str(delivery_id))


@shared_task
def sweep_calls() -> None:
    """End the calls whose node is silent."""
    calls.sweep()


@shared_task
def sweep_messages() -> None:
    """Delete SIP messages that are older than `SIPURI_MESSAGE_STORE_DAYS`."""
    calls.sweep_messages(timedelta(days=settings.MESSAGE_STORE_DAYS))


@shared_task
def sweep_refusals() -> None:
    """Delete refused attempts that are older than `SIPURI_REFUSAL_STORE_DAYS`, and those of an application that has too many."""
    refusals.sweep(timedelta(days=settings.REFUSAL_STORE_DAYS))


@shared_task
def sweep_tokens() -> None:
    """Delete the access tokens that have expired."""
    clients.sweep_tokens()


@shared_task
def sweep_idempotent_answers() -> None:
    """Delete the answers to Idempotency-Keys that have expired."""
    idempotency.sweep()


@shared_task
def beat() -> None:
    """Store the worker's heartbeat."""
    name = f"worker-{settings.NODE_NAME}"
    nodes.beat(
        NodeBeat(
            role="worker",
            name=name,
            at=timezone.now().timestamp(),
            state="up",
            public_address="",
            internal_address="",
            load=0,
            metrics_address="",
        )
    )
