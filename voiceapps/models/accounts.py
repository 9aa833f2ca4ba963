"""Accounts and the API clients that act for them."""

from __future__ import annotations

import re
import uuid
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from oauth2_provider.models import AbstractApplication

from voiceapps.fields import EncryptedTextField
from voiceapps.rules.diagnosis.visible import visible_line

ACCOUNT_ID = re.compile(r"\A[0-9]{1,16}\Z")

SCOPES: dict[str, str] = {
    "voice-applications:read": "Read voice applications, their refused attempts and their state",
    "voice-applications:write": "Create, change and delete voice applications",
    "calls:read": "Read calls and webhook deliveries",
    "calls:write": "Replay webhook deliveries",
    "recordings:read": "Read and download recordings",
    "recordings:write": "Delete recordings, have them transcribed",
    "admin": "Manage the account's API credentials and read its audit trail",
}

ROLES: dict[str, tuple[str, ...]] = {
    "HTTP Application Management": ("voice-applications:read", "voice-applications:write"),
    "HttpVoice": ("calls:read", "calls:write", "recordings:read", "recordings:write"),
    "Credential access": ("admin",),
}
"""The scopes of each role. The names are those of the vendor whose API this is."""


def all_scopes() -> list[str]:
    """Return every scope that a client can have."""
    return list(SCOPES)


MAX_CALLS = 100
MAX_CALLS_PER_SECOND = 5
"""Limits of a new account, until an operator sets others: one customer's mistake must not take the service from all."""
NO_LIMIT = "Empty: no limit."


class Account(models.Model):
    """A customer. A limit that is null does not apply."""

    account_id = models.CharField(primary_key=True, max_length=16, validators=[RegexValidator(ACCOUNT_ID, "Digits only.")])
    name = models.CharField(max_length=200, blank=True)
    max_calls = models.PositiveIntegerField("concurrent calls, at most", null=True, blank=True, default=MAX_CALLS, help_text=NO_LIMIT)
    max_calls_per_second = models.PositiveIntegerField(
        "new calls a second, at most", null=True, blank=True, default=MAX_CALLS_PER_SECOND, help_text=NO_LIMIT
    )
    max_applications = models.PositiveIntegerField("voice applications, at most", null=True, blank=True, help_text=NO_LIMIT)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["account_id"]

    def __str__(self) -> str:
        return visible_line(f"{self.account_id} {self.name}".strip())


class ApiClient(AbstractApplication):  # type: ignore[misc]  # django-oauth-toolkit ships no types
    """An OAuth 2.0 client, which sees only the accounts that it is bound to."""

    # Secrets have their own table, so that a client can have two during a rotation.
    client_secret = None
    hash_client_secret = None

    accounts = models.ManyToManyField(Account, related_name="clients")
    scopes = models.JSONField(default=all_scopes)

    class Meta:
        verbose_name = "API client"
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return visible_line(self.name or self.client_id)

    account_scope = "ACCOUNT"
    """Every client is limited to its accounts; none sees the whole system."""

    @property
    def account_ids(self) -> list[str]:
        """The ids of the client's accounts, sorted."""
        return sorted(account.pk for account in self.accounts.all())

    @property
    def roles(self) -> list[str]:
        """The roles all of whose scopes the client has."""
        return [role for role, scopes in ROLES.items() if set(scopes) <= set(self.scopes)]


class ClientSecret(models.Model):
    """One of a client's secrets, stored as a keyed hash."""

    secret_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="secrets")
    digest = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["created_at"]

    def __str__(self) -> str:
        return f"secret {self.secret_id}"


class IdempotentAnswer(models.Model):
    """The answer to a request with an Idempotency-Key, without secrets."""

    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    document = EncryptedTextField(blank=True, db_default="")
    """The body as JSON; the callback URLs in it may carry credentials."""
    headers = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["client", "key"], name="one_answer_per_client_and_key")
        ]

    def __str__(self) -> str:
        return f"{self.status} for {self.key}"
