"""Recordings: from their beginning to their file, and their deletion.

A recording has a row while its file is being written. One whose node was lost holds what was written until then, and is called
partial; if its node has only been away, the file is complete later. What a customer deletes goes from the disk first, so that nothing
of it is left once we say so. What is deleted twice is deleted; a file that is gone already stops nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from voiceapps.choices import CallState, RecordingStatus
from voiceapps.daemon.bulk import BulkInsert
from voiceapps.models import Recording, Transcription
from voiceapps.rules import recording_files
from voiceapps.rules import reports as r
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.call_rows import ensure

SETTLE = timedelta(minutes=2)
"""How long after its call's end a file may take to be complete."""
SWEPT_AT_ONCE = 1_000

_BEGUN = BulkInsert(Recording, key=("recording_id",))
_COMPLETE = BulkInsert(Recording, key=("recording_id",), update=("status", "path", "duration_ms", "ended_at"))


class UnfinishedError(Exception):
    """A recording's file is being written."""


def begin(reports: Sequence[r.RecordingBegun]) -> None:
    """Add recordings to their calls as they begin."""
    ensure(*(report.call for report in reports))
    _BEGUN.write([_row(report) | {"status": RecordingStatus.PROCESSING} for report in reports])


def complete(reports: Sequence[r.RecordingStored]) -> None:
    """Note that files are complete, but for those whose audio was deleted, as their node was taken for lost."""
    ensure(*(report.call for report in reports))
    ids = [report.recording_id for report in reports]
    deleted = set(Recording.objects.filter(pk__in=ids, status=RecordingStatus.DELETED).values_list("pk", flat=True))
    _COMPLETE.write([_complete_row(report) for report in reports if report.recording_id not in deleted])


def sweep() -> int:
    """Give up the files that nobody completes any more, as their calls are over, and return their number."""
    over = timezone.now() - SETTLE
    left = Recording.objects.filter(status=RecordingStatus.PROCESSING, call__state=CallState.DISCONNECTED, call__ended_at__lt=over)
    return sum(_give_up(recording) for recording in left.order_by("started_at")[:SWEPT_AT_ONCE])


def delete(recording: Recording, *, actor: Actor) -> None:
    """Delete a recording with its transcription and all that is known of it; raises UnfinishedError, and OSError if its file stays."""
    _delete_file(recording)
    with transaction.atomic():
        _record(recording, "recording.delete", actor)
        recording.delete()


def delete_media(recording: Recording, *, actor: Actor) -> None:
    """Delete the audio of a recording, which is listed as deleted from now on; raises UnfinishedError, and OSError if its file stays."""
    _delete_file(recording)
    if recording.status != RecordingStatus.DELETED:
        recording.status, recording.path = RecordingStatus.DELETED, ""
        with transaction.atomic():
            _record(recording, "recording.delete_media", actor)
            # What was written down stays; what is not yet will never be.
            Transcription.objects.filter(recording=recording, status__in=Transcription.OPEN).delete()
            recording.save(update_fields=["status", "path"])


def file_of(recording: Recording) -> Path | None:
    """Return a recording's file; None if it was deleted, or does not lie where recordings are."""
    path = Path(recording.path)
    return path if recording.path and path.is_relative_to(settings.RECORDINGS_DIR) else None


def _give_up(recording: Recording) -> int:
    """Keep what a lost node has written, unless its file is complete by now; return how many rows changed."""
    path = file_of(recording)
    octets = path.stat().st_size if path is not None and path.is_file() else 0
    length_ms = recording_files.duration_ms(octets, recording.file_format, recording.channels)
    return Recording.objects.filter(pk=recording.pk, status=RecordingStatus.PROCESSING).update(
        status=RecordingStatus.PARTIAL if octets else RecordingStatus.ERROR,
        duration_ms=length_ms,
        ended_at=recording.started_at + timedelta(milliseconds=length_ms),
    )


def _delete_file(recording: Recording) -> None:
    if recording.status == RecordingStatus.PROCESSING:
        raise UnfinishedError(recording.recording_id)
    path = file_of(recording)
    if path is not None:
        path.unlink(missing_ok=True)


def _record(recording: Recording, action: str, actor: Actor) -> None:
    audit.record(actor, action, recording.recording_id, {"call": recording.call_id}, account=recording.call.account_id)


def _complete_row(report: r.RecordingStored) -> dict[str, object]:
    ends = {"status": RecordingStatus.COMPLETE, "duration_ms": report.duration_ms, "ended_at": _when(report.ended_at)}
    return _row(report) | ends


def _row(report: r.RecordingBegun | r.RecordingStored) -> dict[str, object]:
    return {
        "recording_id": report.recording_id,
        "call_id": report.call.call_id,
        "account_id": report.call.account_id,
        "name": report.name,
        "path": report.path,
        "file_format": report.file_format,
        "channels": report.channels,
        "started_at": _when(report.started_at),
    }


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
