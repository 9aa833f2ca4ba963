"""The audit trail: who changed what, in chains that reveal altered or removed entries, and whose ends are signed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Value


class AuditChain(models.Model):
    """The end of one chain: that of an account, or the installation's own, whose name is empty. One more row counts the chains."""

    chain = models.CharField(primary_key=True, max_length=16)
    number = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)
    signature = models.CharField(max_length=64, blank=True, default="", db_default="")
    """By a key that the database does not hold; empty for an end that grew from one whose signature was wrong."""

    def __str__(self) -> str:
        return f"{self.chain or 'installation'} up to {self.number}"


class AuditEntry(models.Model):
    """One change, in which secrets are masked."""

    chain = models.CharField("account", max_length=16, blank=True)
    number = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    source_ip = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=36, blank=True)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    changes = models.JSONField()
    """What things are now."""
    before = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True)
    """What those of them were that had a value; empty in entries of an older release."""
    previous_digest = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering: ClassVar[list[str]] = ["-at", "-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["chain", "number"], name="one_entry_per_chain_and_number")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=[name, "id"], name=f"audit_by_{name}") for name in ("chain", "subject", "actor", "action")
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
