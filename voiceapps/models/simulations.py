"""Calls that nobody places."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from voiceapps.choices import SimulationState
from voiceapps.fields import EncryptedTextField
from voiceapps.models.accounts import Account
from voiceapps.models.applications import VoiceApplication


class CallSimulation(models.Model):
    """A script, and what an application made of it. The row is kept for a day."""

    simulation_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    application = models.ForeignKey(VoiceApplication, on_delete=models.CASCADE, db_index=False)
    state = models.CharField(max_length=7, choices=SimulationState, default=SimulationState.WAITING)
    script = EncryptedTextField()
    """As JSON; a caller may press what is secret."""
    transcript = EncryptedTextField(blank=True)
    """As JSON: an array of arrays of the second, what it was, and its details."""
    problem = models.TextField(null=True)
    """Why the call failed; null if it did not, or has not ended yet."""
    created_at = models.DateTimeField()
    began_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    SECRETS: ClassVar[tuple[str, ...]] = ("script", "transcript")

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["application", "created_at", "simulation_id"], name="simulation_page"),
            models.Index(fields=["account", "created_at"], name="simulation_account"),
            models.Index(fields=["created_at"], condition=~models.Q(state="ended"), name="simulation_open"),
        ]

    def __str__(self) -> str:
        return f"{self.simulation_id}"
