"""Tenants and the clients that act for them."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from oauth2_provider.models import AbstractApplication

SCOPES: dict[str, str] = {
    "voice-applications:read": "Read voice applications",
    "voice-applications:write": "Create and change voice applications",
    "recordings:read": "Download recordings",
}


def all_scopes() -> list[str]:
    """Return every scope a client can have."""
    return list(SCOPES)


class Account(models.Model):
    """A customer."""

    account_id = models.CharField(primary_key=True, max_length=16, validators=[RegexValidator(r"\A\d{1,16}\Z", "Digits only.")])
    name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["account_id"]

    def __str__(self) -> str:
        return f"{self.account_id} {self.name}".strip()


class ApiClient(AbstractApplication):  # type: ignore[misc]  # django-oauth-toolkit ships no types
    """An OAuth 2.0 client; it sees the accounts it is bound to and nothing else."""

    accounts = models.ManyToManyField(Account, related_name="clients")
    scopes = models.JSONField(default=all_scopes)

    class Meta:
        verbose_name = "API client"
        ordering: ClassVar[list[str]] = ["name"]
