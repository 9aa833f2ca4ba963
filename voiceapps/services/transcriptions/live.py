"""What was written down of calls while they went on: kept at the end of each transcription, until a customer deletes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import transaction

from voiceapps.daemon.bulk import BulkInsert
from voiceapps.models import LiveTranscript
from voiceapps.rules.reports import TranscriptKept
from voiceapps.rules.transcripts import Transcript
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.call_rows import ensure, storable

_KEPT = BulkInsert(LiveTranscript, key=("transcription_id",))


def keep(reports: Sequence[TranscriptKept]) -> None:
    """Add transcripts to their calls; one that is there stays as it is."""
    ensure(*(report.call for report in reports))
    _KEPT.write([_row(report) for report in reports])


def delete(transcript: LiveTranscript, *, actor: Actor) -> None:
    """Delete a transcript."""
    with transaction.atomic():
        number, account = transcript.transcription_id, transcript.call.account_id
        audit.record(actor, "live_transcript.delete", number, {"call": transcript.call_id}, account=account)
        transcript.delete()


def _row(report: TranscriptKept) -> dict[str, object]:
    return {
        "transcription_id": report.transcription_id,
        "call_id": report.call.call_id,
        "name": storable(report.name),
        "tracks": ",".join(report.tracks),
        "language": report.language,
        "clips": str(Transcript(report.clips).kept()),
        "ended_at": datetime.fromtimestamp(report.at, UTC),
    }
