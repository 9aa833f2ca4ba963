"""Who changed what."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class AuditEntry(models.Model):
    """One mutation; secrets are masked before they come here."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=200)
    source_ip = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    changes = models.JSONField()

    class Meta:
        verbose_name_plural = "audit entries"
        ordering: ClassVar[list[str]] = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
