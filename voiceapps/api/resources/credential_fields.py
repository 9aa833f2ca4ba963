"""What a credential and its secrets look like on the wire (voice-applications-api.md)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from voiceapps.api.wire.fields import ShownOnce, StrictText, StrictTexts, Time
from voiceapps.api.wire.strict import StrictInput
from voiceapps.models.accounts import ACCOUNT_ID, ROLES, SCOPES

MAX_DESCRIPTION = 255
MAX_ACCOUNTS = 100

CREDENTIAL: dict[str, object] = {
    "clientId": "api-4k2m9x0c1q7w8z5r3t6y2u1p",
    "description": "Provisioning",
    "accountScope": "ACCOUNT",
    "roles": ["HTTP Application Management"],
    "scopes": ["voice-applications:read", "voice-applications:write"],
    "accounts": ["9900000"],
    "createdAt": "2026-11-22T18:04:31.250Z",
}
SECRET: dict[str, object] = {
    "secretId": "0a2f6d1e-6c3d-4f3c-9b0e-3d9a5c1f7a42",
    "createdAt": "2026-11-22T18:04:31.250Z",
    "expirationDate": None,
}
LISTED_SECRET: dict[str, object] = SECRET | {"lastUsedAt": "2026-11-23T08:00:02.713Z"}
MADE_SECRET: dict[str, object] = SECRET | {"clientSecret": "HxV3m0c9Qw2Zr8TdKp5LyBn7GsJf4Ea1"}


class CredentialInput(StrictInput):
    """What a credential is made of; a change names the fields that change."""

    READ_ONLY: ClassVar[Collection[str]] = ("clientId", "scopes", "createdAt")

    description = StrictText(max_length=MAX_DESCRIPTION)
    accountScope = serializers.ChoiceField(["ACCOUNT"], required=False)
    roles = StrictTexts(help_text=f"Of {', '.join(ROLES)}.")
    accounts = StrictTexts(help_text=f"1 to {MAX_ACCOUNTS} of your own accounts.")

    def validate_roles(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """Return roles that exist."""
        if not set(roles) <= set(ROLES):
            raise serializers.ValidationError(f"Each must be one of {', '.join(ROLES)}.")
        return roles

    def validate_accounts(self, accounts: tuple[str, ...]) -> tuple[str, ...]:
        """Return ids that could be accounts."""
        if not 1 <= len(accounts) <= MAX_ACCOUNTS or not all(ACCOUNT_ID.fullmatch(account) for account in accounts):
            raise serializers.ValidationError(f"1 to {MAX_ACCOUNTS} account ids.")
        return accounts


class CredentialData(serializers.Serializer[Any]):
    """A credential."""

    clientId = serializers.CharField(source="client_id")
    description = serializers.CharField(source="name")
    accountScope = serializers.CharField(source="account_scope")
    roles = serializers.ListField(child=serializers.CharField(), help_text="Those whose scopes the credential has, all of them.")
    scopes = serializers.ListField(child=serializers.CharField())
    accounts = serializers.ListField(source="account_ids", child=serializers.CharField())
    createdAt = Time(source="created")


class StrictTime(serializers.DateTimeField):
    """Take an ISO 8601 time in a JSON string."""

    def to_internal_value(self, value: Any) -> datetime:
        """Return the time; one without an offset is UTC."""
        if not isinstance(value, str):
            raise serializers.ValidationError("Must be an ISO 8601 time in a string.")
        return super().to_internal_value(value)


class SecretInput(StrictInput):
    """How long a secret is to work."""

    expirationDate = StrictTime(required=False, allow_null=True, default=None, help_text="In the future; null for as long as it is there.")

    def validate_expirationDate(self, expires_at: datetime | None) -> datetime | None:  # noqa: N802  # DRF finds it by the wire's name
        """Return a time to come."""
        if expires_at is not None and expires_at <= timezone.now():
            raise serializers.ValidationError("Must be in the future.")
        return expires_at


class SecretData(serializers.Serializer[Any]):
    """A secret, but for what it is."""

    secretId = serializers.UUIDField(source="secret_id")
    createdAt = Time(source="created_at")
    expirationDate = Time(source="expires_at", allow_null=True)


class ListedSecretData(SecretData):
    """A secret that somebody has."""

    lastUsedAt = Time(source="last_used_at", allow_null=True, help_text="To the minute.")


class MadeSecretData(SecretData):
    """A new secret."""

    clientSecret = ShownOnce(source="secret", help_text="Only in the answer that made it.")
    clientSecretNotice = ShownOnce(help_text="In a replay of an Idempotency-Key: why the secret is not there.")


def scopes_of(roles: Collection[str]) -> list[str]:
    """Return the scopes that roles stand for, in their usual order."""
    wanted = {scope for role in roles for scope in ROLES[role]}
    return [scope for scope in SCOPES if scope in wanted]
