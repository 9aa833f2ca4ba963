"""Recordings, and what became of writing them down."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.models import Recording, Transcription

_STATUS_COLOURS = {"none": "info", "processing": "info", "available": "success", "error": "danger", "timeout": "danger"}


@admin.register(Recording)
class RecordingAdmin(ReadOnlyAdmin):
    """The pages of recordings, with the paths of their files."""

    list_display = ("started_at", "recording_id", "call", "status", "duration_ms", "file_format", "path")
    search_fields = ("recording_id", "call__call_id")


@admin.register(Transcription)
class TranscriptionAdmin(ReadOnlyAdmin):
    """The pages of transcriptions, without what was said: that is between callers and customers."""

    list_display = ("ordered_at", "transcription_id", "recording", "progress", "tries", "began_at", "ended_at")
    list_filter = ("status",)
    search_fields = ("transcription_id", "recording__recording_id", "recording__call__call_id")
    exclude = (*Transcription.SECRETS, "clips")
    unread = exclude

    @display(description="Status", label=_STATUS_COLOURS)
    def progress(self, transcription: Transcription) -> str:
        """Return the status, shown as a badge."""
        return transcription.status
