"""Trials of an application: they wait in a table until a worker has run them, and are kept for a day."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from voiceapps.choices import TrialState
from voiceapps.fields import EncryptedTextField
from voiceapps.models.accounts import Account
from voiceapps.models.applications import VoiceApplication


class Trial(models.Model):
    """A trial from its order to its end, and for a day."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    application = models.ForeignKey(VoiceApplication, on_delete=models.CASCADE, db_index=False)
    state = models.CharField(max_length=7, choices=TrialState, default=TrialState.WAITING)
    created_at = models.DateTimeField()
    began_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    SECRETS: ClassVar[tuple[str, ...]]
    """What is encrypted, or may be long: it is not read where only the row's state matters."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.pk}"


class CallSimulation(Trial):
    """A script of a call that nobody places, and what an application made of it."""

    simulation_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    script = EncryptedTextField()
    """As JSON; a caller may press what is secret."""
    transcript = EncryptedTextField(blank=True)
    """As JSON: an array of arrays of the second, what it was, and its details."""
    problem = models.TextField(null=True)
    """Why the call failed; null if it did not, or has not ended yet."""

    SECRETS: ClassVar[tuple[str, ...]] = ("script", "transcript")

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["application", "created_at", "simulation_id"], name="simulation_page"),
            models.Index(fields=["account", "created_at"], name="simulation_account"),
            models.Index(fields=["created_at", "simulation_id"], name="simulation_by_time"),
            models.Index(fields=["created_at"], condition=~models.Q(state="ended"), name="simulation_open"),
        ]


class PlacedCall(Trial):
    """A call of our own phone, to hear what a caller hears: what it was told to do, and what came of it."""

    placed_call_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dialling = EncryptedTextField()
    """As JSON; a caller may press what is secret."""
    sip_call_id = models.CharField(max_length=64)
    """The Call-ID of the call, by which its record is found."""
    outcome = models.TextField(blank=True)
    """As `voiceapps.rules.trials.placed_call.Outcome` writes itself; empty until it has ended."""
    heard = models.BinaryField(default=b"")
    """What the phone heard: µ-law at 8 kHz."""

    SECRETS: ClassVar[tuple[str, ...]] = ("dialling", "outcome", "heard")

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["application", "created_at"], name="placed_call_application"),
            models.Index(fields=["account", "created_at"], name="placed_call_account"),
            models.Index(fields=["created_at"], name="placed_call_by_time"),
            models.Index(fields=["created_at"], condition=~models.Q(state="ended"), name="placed_call_open"),
        ]
