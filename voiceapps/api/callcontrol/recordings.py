"""Recordings: what the webhooks' `mediaUrl` leads to."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.http import FileResponse, Http404, HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from voiceapps.api.callcontrol.base import CallControlView
from voiceapps.api.openapi import operation
from voiceapps.models import Recording


class RecordingMedia(CallControlView):
    """The audio of a recording."""

    scopes: ClassVar[dict[str, str]] = {"GET": "recordings:read"}

    @operation(
        "downloadCallRecording",
        tag="Recordings",
        answers={(200, "audio/vnd.wave"): bytes},
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    def get(self, _request: Request, account_id: str, call_id: str, recording_id: str) -> HttpResponseBase:
        """Download a recording."""
        recording = get_object_or_404(Recording, pk=recording_id, call_id=call_id, call__account_id=account_id)
        path = Path(recording.path)
        if not path.is_relative_to(settings.RECORDINGS_DIR) or not path.is_file():
            raise Http404
        return FileResponse(path.open("rb"), content_type="audio/vnd.wave")
