"""The keys that a database belongs to."""

from __future__ import annotations

from django.db import models

from voiceapps.fields import EncryptedTextField


class KeyCheck(models.Model):
    """The one row by which each process sees whether it holds the keys of this database."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sentinel = EncryptedTextField()
    """A known text: who can read it holds the key of all encrypted fields."""
    fingerprints = models.JSONField()
    """By the variable of a key or a set of keys: what tells it from others, and nothing of it."""

    class Meta:
        verbose_name = "key check"

    def __str__(self) -> str:
        return f"fingerprints of {len(self.fingerprints)} keys"
