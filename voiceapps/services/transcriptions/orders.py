"""Orders of transcriptions: each waits in the table until a worker has carried it out, and takes the place of the one before it.

Like a delivery of a webhook, an order that the broker does not announce is found in the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from celery import current_app
from django.db import transaction
from django.utils import timezone

from voiceapps.choices import CallbackMethod, RecordingStatus, TranscriptionStatus
from voiceapps.models import Recording, Transcription
from voiceapps.rules.reports import TranscriptionWanted
from voiceapps.rules.transcripts import TOO_LONG_MS, TOO_SHORT_MS
from voiceapps.services import audit, webhooks
from voiceapps.services.announcements import Announcer
from voiceapps.services.audit import Actor
from voiceapps.services.call_rows import storable
from voiceapps.services.recordings import UnfinishedError


class NoAudioError(Exception):
    """A recording has no audio, or none any more."""


class StillOpenError(Exception):
    """A recording is being written down."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Who hears what came of a transcription; nobody if the URL is empty."""

    url: str = ""
    method: str = CallbackMethod.POST.value
    username: str = ""
    password: str = field(default="", repr=False)
    tag: str = ""


@transaction.atomic
def order(recording_id: str, callback: Callback, *, actor: Actor) -> None:
    """Have a recording written down soon; raises UnfinishedError, NoAudioError, StillOpenError, Recording.DoesNotExist."""
    # Two orders for one recording are judged one after the other.
    recording = Recording.objects.select_for_update(of=("self",)).select_related("call").get(pk=recording_id)
    if recording.status == RecordingStatus.PROCESSING:
        raise UnfinishedError(recording_id)
    if not recording.is_playable:
        raise NoAudioError(recording_id)
    if Transcription.objects.filter(recording=recording, status__in=Transcription.OPEN).exists():
        raise StillOpenError(recording_id)
    _record(recording, "recording.transcribe", actor)
    _place(recording, f"t-{uuid.uuid4()}", callback, timezone.now())


def order_reported(reports: Sequence[TranscriptionWanted]) -> None:
    """Have recordings of documents written down soon, but for those that are deleted by now."""
    there = Recording.objects.select_related("call").in_bulk([report.recording_id for report in reports])
    for report in reports:
        if (recording := there.get(report.recording_id)) is not None and recording.is_playable:
            callback = Callback(report.url, report.method, report.username, report.password, report.tag)
            _place(recording, report.transcription_id, callback, datetime.fromtimestamp(report.at, UTC))


@transaction.atomic
def delete(recording: Recording, *, actor: Actor) -> bool:
    """Delete what a recording was written down as, or will be, and return whether there was anything."""
    number, _ = Transcription.objects.filter(recording=recording).delete()
    if number:
        _record(recording, "recording.delete_transcription", actor)
    return bool(number)


def _place(recording: Recording, transcription_id: str, callback: Callback, at: datetime) -> None:
    Transcription.objects.filter(recording=recording).delete()
    where = webhooks.place(callback.url)
    status = _first_status(recording.duration_ms)
    is_over = status not in Transcription.OPEN
    Transcription.objects.create(
        transcription_id=transcription_id,
        recording=recording,
        account_id=recording.call.account_id,
        status=status,
        callback_url=where["url"],
        callback_target=where["target"],
        callback_method=callback.method,
        callback_username=callback.username,
        callback_password=callback.password,
        tag=storable(callback.tag),
        ordered_at=at,
        ended_at=timezone.now() if is_over else None,
    )
    if is_over:
        webhooks.queue_transcription(transcription_id)
    else:
        transaction.on_commit(announcer.put)


def _first_status(duration_ms: int) -> TranscriptionStatus:
    if duration_ms <= TOO_SHORT_MS:
        return TranscriptionStatus.TOO_SMALL
    return TranscriptionStatus.TOO_BIG if duration_ms >= TOO_LONG_MS else TranscriptionStatus.NONE


def _record(recording: Recording, action: str, actor: Actor) -> None:
    audit.record(actor, action, recording.recording_id, {"call": recording.call_id}, account=recording.call.account_id)


def _send() -> None:
    current_app.send_task("voiceapps.tasks.run_transcriptions", retry=False)


announcer = Announcer(_send)
