"""Webhooks: deliveries, and each attempt with its answer."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from voiceapps.choices import CallbackMethod, DeliveryState
from voiceapps.fields import EncryptedTextField
from voiceapps.models.accounts import Account
from voiceapps.models.applications import CREDENTIAL_LENGTH, URL_LENGTH
from voiceapps.models.calls import Call

HOST_LENGTH = 261
"""Of a name and its port."""
MAX_SHOWN_ATTEMPTS = 50
"""Attempts of a delivery that the API shows. Replays can add any number, and the newest tell its state."""


class WebhookDelivery(models.Model):
    """One event for a customer's backend.

    A synchronous one was sent by the call flow and is stored with its answer. Any other is stored here first and sent by a task.
    """

    delivery_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # A row is written twice at least, so no index is kept that no query uses. Two below begin with these columns.
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="webhooks", db_index=False)
    event_type = models.CharField(max_length=32)
    synchronous = models.BooleanField(default=False)
    url = models.CharField(max_length=URL_LENGTH)
    """Where the event goes, its secrets masked."""
    target = EncryptedTextField(blank=True, db_default="")
    """The URL as it is sent; empty if nothing in it is masked, or if it was sent before the row was written."""
    host = models.CharField(max_length=HOST_LENGTH, blank=True, db_default="")
    """Where the event goes, as `name:port`: what is sent at once to one host is limited."""
    method = models.CharField(max_length=4, choices=CallbackMethod)
    username = models.CharField(max_length=CREDENTIAL_LENGTH, blank=True)
    password = EncryptedTextField(blank=True)
    body = models.JSONField()
    hidden = EncryptedTextField(blank=True, db_default="")
    """What is sent in the place of what the body masks, as JSON; empty if nothing is, and once the delivery is over."""
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.PENDING)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    replayed_at = models.DateTimeField(null=True)

    SECRETS: ClassVar[tuple[str, ...]] = ("target", "password", "hidden")
    """The encrypted fields."""

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering: ClassVar[list[str]] = ["-created_at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["call"], condition=models.Q(event_type="disconnect"), name="one_disconnect_per_call")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["call", "created_at", "delivery_id"], name="delivery_of_call"),
            models.Index(fields=["account", "created_at", "delivery_id"], name="delivery_page"),
            models.Index(fields=["created_at", "delivery_id"], name="delivery_by_time"),
            models.Index(fields=["next_attempt_at"], condition=models.Q(state="pending"), name="delivery_due"),
            models.Index(fields=["created_at", "delivery_id"], condition=models.Q(state="pending"), name="delivery_pending"),
            models.Index(fields=["created_at", "delivery_id"], condition=models.Q(state="failed"), name="delivery_failed"),
            models.Index(fields=["account", "created_at", "delivery_id"], condition=models.Q(state="failed"), name="delivery_failed_of"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} of {self.call_id}"

    @classmethod
    def without_secrets(cls) -> models.QuerySet[WebhookDelivery]:
        """Return the deliveries without what is encrypted: one row that no key opens would spoil a query of many."""
        return cls.objects.defer(*cls.SECRETS)

    def newest_attempts(self) -> list[WebhookAttempt]:
        """Return the newest `MAX_SHOWN_ATTEMPTS` attempts in the order of their time."""
        return list(self.attempts.order_by("-at", "-id")[:MAX_SHOWN_ATTEMPTS])[::-1]


class WebhookAttempt(models.Model):
    """One request of a delivery, with its answer."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField()
    url = models.CharField(max_length=URL_LENGTH)
    status = models.PositiveSmallIntegerField(null=True)
    response_body = models.TextField(blank=True)
    latency_ms = models.PositiveIntegerField()
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["at", "id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["at"], name="attempt_at")]

    def __str__(self) -> str:
        return f"{self.status or self.error}"


class FailingHost(models.Model):
    """A host whose last answers to an account's deliveries were failures: a circuit breaker."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    host = models.CharField(max_length=HOST_LENGTH)
    failures = models.PositiveIntegerField()
    """Failures in a row."""
    since = models.DateTimeField()
    last_at = models.DateTimeField()
    error = models.TextField()
    """What is wrong, in one sentence."""
    rests_until = models.DateTimeField(null=True)
    """Until then nothing is sent, and after it one request at a time; null as long as the failures are few."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-last_at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["account", "host"], name="one_row_per_failing_host")
        ]

    def __str__(self) -> str:
        return self.host
