"""Recordings that a customer deletes: the file goes first, so that nothing of it is left once we say so.

What is deleted twice is deleted; a file that is gone already stops nobody.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import transaction

from voiceapps.models import Recording
from voiceapps.services import audit
from voiceapps.services.audit import Actor


def delete(recording: Recording, *, actor: Actor) -> None:
    """Delete a recording with all that is known of it; raises OSError if its file stays."""
    _delete_file(recording)
    with transaction.atomic():
        _record(recording, "recording.delete", actor)
        recording.delete()


def delete_media(recording: Recording, *, actor: Actor) -> None:
    """Delete the audio of a recording, which is listed as deleted from now on; raises OSError if its file stays."""
    _delete_file(recording)
    if recording.path:
        recording.path = ""
        with transaction.atomic():
            _record(recording, "recording.delete_media", actor)
            recording.save(update_fields=["path"])


def file_of(recording: Recording) -> Path | None:
    """Return a recording's file; None if it was deleted, or does not lie where recordings are."""
    path = Path(recording.path)
    return path if recording.path and path.is_relative_to(settings.RECORDINGS_DIR) else None


def _delete_file(recording: Recording) -> None:
    path = file_of(recording)
    if path is not None:
        path.unlink(missing_ok=True)


def _record(recording: Recording, action: str, actor: Actor) -> None:
    audit.record(actor, action, recording.recording_id, {"call": recording.call_id}, account=recording.call.account_id)
