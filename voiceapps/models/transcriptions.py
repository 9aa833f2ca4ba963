"""Recordings that are written down."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from voiceapps.choices import CallbackMethod, TranscriptionStatus
from voiceapps.fields import EncryptedTextField
from voiceapps.models.accounts import Account
from voiceapps.models.applications import CREDENTIAL_LENGTH, URL_LENGTH
from voiceapps.models.recordings import Recording
from voiceapps.rules.webhook_bodies import call_url, transcription_url


class Transcription(models.Model):
    """What is said in a recording, from its order on; a recording has one at most."""

    transcription_id = models.CharField(primary_key=True, max_length=38)
    recording = models.OneToOneField(Recording, on_delete=models.CASCADE, related_name="transcription")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    status = models.CharField(max_length=19, choices=TranscriptionStatus, default=TranscriptionStatus.NONE)
    clips = models.TextField(blank=True)
    """As `voiceapps.rules.transcripts.Transcript` writes itself; empty until it is available."""
    callback_url = models.CharField(max_length=URL_LENGTH, blank=True)
    """Hears what came of it, its secrets masked; empty if nobody does."""
    callback_target = EncryptedTextField(blank=True)
    """The URL as it is; empty if nothing in it is masked."""
    callback_method = models.CharField(max_length=4, choices=CallbackMethod, default=CallbackMethod.POST)
    callback_username = models.CharField(max_length=CREDENTIAL_LENGTH, blank=True)
    callback_password = EncryptedTextField(blank=True)
    tag = models.TextField(blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    """Workers that have begun it, but for those that gave it back."""
    ordered_at = models.DateTimeField()
    began_at = models.DateTimeField(null=True)
    lost_at = models.DateTimeField(null=True)
    """When the worker that has it is taken for dead."""
    ended_at = models.DateTimeField(null=True)

    OPEN: ClassVar[tuple[TranscriptionStatus, ...]] = (TranscriptionStatus.NONE, TranscriptionStatus.PROCESSING)
    """The states of what has not ended."""
    SECRETS: ClassVar[tuple[str, ...]] = ("callback_target", "callback_password")
    """The encrypted fields."""
    JOINED_UNREAD: ClassVar[tuple[str, ...]] = tuple(f"transcription__{name}" for name in (*SECRETS, "clips"))
    """What rows that are read with their transcriptions leave out: secrets, and texts that may be long."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-ordered_at"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "ordered_at"], condition=models.Q(status="none"), name="transcription_waiting"),
            models.Index(fields=["account", "lost_at"], condition=models.Q(status="processing"), name="transcription_running"),
            models.Index(fields=["began_at"], name="transcription_begun"),
            models.Index(fields=["ordered_at", "transcription_id"], name="transcription_by_time"),
            models.Index(fields=["account", "ordered_at", "transcription_id"], name="transcription_page"),
        ]

    def __str__(self) -> str:
        return self.transcription_id

    @property
    def url(self) -> str:
        """The URL at which the API shows it."""
        return transcription_url(call_url(settings.PUBLIC_URL, self.account_id, self.recording.call_id), self.recording_id)
