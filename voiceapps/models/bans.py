"""Banned source addresses."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from voiceapps.choices import BanReasonChoice


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
