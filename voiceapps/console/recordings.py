"""Recordings, and what became of writing them down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from voiceapps.console.newest import NewestAdmin
from voiceapps.console.roles import Capability
from voiceapps.models import Recording, Transcription

_STATUS_COLOURS = {"none": "info", "processing": "info", "available": "success", "error": "danger", "timeout": "danger"}


@admin.register(Recording)
class RecordingAdmin(NewestAdmin):
    """The pages of recordings, with the paths of their files."""

    sees = Capability.HEAR_RECORDINGS
    account = "account_id"
    newest = ("started_at", "recording_id")
    ids: ClassVar[Mapping[str, str]] = {"r-": "recording_id", "c-": "call_id"}
    list_display = ("started_at", "recording_id", "of_call", "status", "duration_ms", "file_format", "path")

    @admin.display(description="Call")
    def of_call(self, recording: Recording) -> SafeString:
        """Return the id of the call, as a link."""
        return format_html('<a href="{}">{}</a>', reverse("console:call", args=[recording.call_id]), recording.call_id)


@admin.register(Transcription)
class TranscriptionAdmin(NewestAdmin):
    """The pages of transcriptions, without what was said: that is between callers and customers."""

    sees = Capability.HEAR_RECORDINGS
    account = "account_id"
    newest = ("ordered_at", "transcription_id")
    ids: ClassVar[Mapping[str, str]] = {"t-": "transcription_id", "r-": "recording_id", "c-": "recording__call_id"}
    list_display = ("ordered_at", "transcription_id", "recording_id", "progress", "tries", "began_at", "ended_at")
    list_filter = ("status",)
    exclude = (*Transcription.SECRETS, "clips")
    unread = exclude

    @display(description="Status", label=_STATUS_COLOURS)
    def progress(self, transcription: Transcription) -> str:
        """Return the status, shown as a badge."""
        return transcription.status
