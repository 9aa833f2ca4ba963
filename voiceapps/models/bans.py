"""Banned source addresses, and trusted ones."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models

from voiceapps.choices import BanReasonChoice
from voiceapps.models.nodes import CLOCKS_DIFFER
from voiceapps.rules.bans import BanReason


class Ban(models.Model):
    """A source address that every proxy ignores until the ban expires."""

    source_ip = models.GenericIPAddressField(protocol="IPv4", primary_key=True)
    reason = models.CharField(max_length=16, choices=BanReasonChoice)
    node = models.CharField(max_length=200, blank=True, help_text="The proxy that banned it; empty where an operator did.")
    banned_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-banned_at"]

    def __str__(self) -> str:
        return str(self.source_ip)

    @classmethod
    def in_force(cls, now: datetime) -> models.QuerySet[Ban]:
        """Return the bans that have not expired.

        One that a proxy placed in the future is older than the clock, which was set back: it may have expired before that.
        """
        return cls.that_last(now, now + CLOCKS_DIFFER)

    @classmethod
    def that_last(cls, now: datetime | models.Expression, latest: datetime | models.Expression) -> models.QuerySet[Ban]:
        """Return the bans that expire after one time and, where a proxy placed them, did not begin after another."""
        trusted = models.Q(reason=BanReason.OPERATOR.value) | models.Q(banned_at__lte=latest)
        return cls.objects.filter(trusted, expires_at__gt=now)

    def is_in_force(self, now: datetime) -> bool:
        """Return whether it is one of those."""
        trusted = self.reason == BanReason.OPERATOR.value or self.banned_at <= now + CLOCKS_DIFFER
        return trusted and self.expires_at > now


class TrustedRange(models.Model):
    """A range of source addresses that proxies neither limit nor ban, beside those of SIPURI_GUARD_TRUSTED."""

    network = models.CharField(primary_key=True, max_length=18)
    note = models.CharField(max_length=200, blank=True, help_text="Whose it is.")
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["network"]

    def __str__(self) -> str:
        return self.network
