"""Recordings of calls."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from voiceapps.choices import RecordingStatus
from voiceapps.models.calls import Call
from voiceapps.rules.webhook_bodies import RecordingView, call_url, media_url


class Recording(models.Model):
    """A recording, from its beginning on: its file, length and format."""

    recording_id = models.CharField(primary_key=True, max_length=47)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="recordings")
    account_id = models.CharField(max_length=16, blank=True, default="", db_default="", editable=False)
    """Of the call, as an index covers one table."""
    status = models.CharField(max_length=10, choices=RecordingStatus, default=RecordingStatus.COMPLETE, db_default=RecordingStatus.COMPLETE)
    name = models.CharField(max_length=256, blank=True, db_default="", help_text="What its verb calls it.")
    path = models.CharField(max_length=1024, blank=True)
    """Empty once the audio is deleted."""
    file_format = models.CharField(max_length=4)
    channels = models.PositiveSmallIntegerField()
    duration_ms = models.PositiveIntegerField(default=0)
    """0 until its file is complete."""
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-started_at"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["started_at"], name="open_recording", condition=models.Q(status=RecordingStatus.PROCESSING)),
            models.Index(fields=["started_at", "recording_id"], name="recording_by_time"),
            models.Index(fields=["account_id", "started_at", "recording_id"], name="recording_of_account"),
        ]

    def __str__(self) -> str:
        return self.recording_id

    def view(self) -> RecordingView:
        """Return what webhook bodies say of it; its file must be complete."""
        assert self.ended_at is not None  # our own rule: it ends with its file
        return RecordingView(
            recording_id=self.recording_id,
            started_at=self.started_at.timestamp(),
            ended_at=self.ended_at.timestamp(),
            duration_ms=self.duration_ms,
            channels=self.channels,
            file_format=self.file_format,
            name=self.name,
        )

    @property
    def is_playable(self) -> bool:
        """True if there is a file that nobody writes any more."""
        return self.status in (RecordingStatus.COMPLETE, RecordingStatus.PARTIAL)

    @property
    def media_url(self) -> str | None:
        """The URL from which the file is downloaded; None where there is nothing to download."""
        if not self.is_playable:
            return None
        return media_url(call_url(settings.PUBLIC_URL, self.call.account_id, self.call_id), self.recording_id)
