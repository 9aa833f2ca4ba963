"""Refused attempts, aggregated by application, reason, source and minute."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from voiceapps.choices import RefusalReason
from voiceapps.fields import TraceField
from voiceapps.models.applications import VoiceApplication


class RefusedAttempt(models.Model):
    """The like attempts of one minute: their number, and the trace of the first one."""

    key = models.BinaryField(max_length=16, null=True, unique=True)
    """Minute, application, reason and source in 16 octets, by which a writer finds the row; null in rows of an older release."""
    application = models.ForeignKey(VoiceApplication, null=True, on_delete=models.SET_NULL, related_name="refusals", db_index=False)
    """Without an index of its own: the one of pages begins with it."""
    account_id = models.CharField(max_length=16, blank=True, default="", db_default="")
    """Of the application, as an index covers one table; empty where none was called."""
    source_ip = models.GenericIPAddressField(protocol="IPv4", null=True)
    """Null in the row that counts the attempts of all further sources of its minute."""
    country = models.CharField(max_length=2, blank=True)
    reason = models.CharField(max_length=32, choices=RefusalReason)
    status = models.PositiveSmallIntegerField()
    count = models.PositiveIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    request_user = models.CharField(max_length=256, blank=True)
    sip_call_id = models.CharField(max_length=512, blank=True)
    user_agent = models.CharField(max_length=256, blank=True)
    trace = TraceField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-last_at"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["application", "last_at", "id"], name="refusal_page"),
            models.Index(fields=["account_id", "last_at", "id"], name="refusal_of_account"),
            models.Index(fields=["source_ip", "last_at"], name="refusal_of_source"),
            models.Index(fields=["reason", "last_at"], name="refusal_for_reason"),
        ]

    def __str__(self) -> str:
        # Without the source: pages have it in their title, whoever reads them.
        return f"{self.reason}, {self.count} times"
