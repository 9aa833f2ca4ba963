"""The reports of a call: what the database and status webhooks get."""

from __future__ import annotations

from dataclasses import replace

from callflow.bxml import Webhook
from callflow.engine.limits import MAX_ERROR_MESSAGE
from voiceapps.rules import webhook_bodies
from voiceapps.rules.endings import EndReason
from voiceapps.rules.masking import masked_text
from voiceapps.rules.reports import CallEnded, CallNotice, RecordingStored, StatusEventQueued, TranscriptionWanted, TranscriptKept
from voiceapps.rules.transcripts import Clip
from voiceapps.rules.webhook_bodies import CallView, Payload, RecordingView, ReferView, StreamView, TranscriptionView

OTHER_FAILURE_STATUS = 500
_STATUSES = {
    EndReason.ACK_TIMEOUT: 504,
    EndReason.APPLICATION_REJECTED: 603,
    EndReason.CALLER_CANCELLED: 487,
    EndReason.UNSUPPORTED_MEDIA: 488,
}

LOST_SENTENCES = {
    EndReason.ACK_TIMEOUT: "The caller did not acknowledge the answer.",
    EndReason.CALLER_UNREACHABLE: "The caller's telephone no longer answers.",
    EndReason.MEDIA_TIMEOUT: "Neither audio nor any other sign of life came from the caller.",
}


def refusal_status(reason: EndReason) -> int:
    """Return the final response of a call that ends unanswered."""
    return _STATUSES.get(reason, OTHER_FAILURE_STATUS)


def call_ended(
    view: CallView,
    node: str,
    reason: EndReason,
    *,
    status: int,
    sentence: str | None,
    error_id: str | None,
) -> CallEnded:
    """Return the report of a call's end; `status` is the final response that it got."""
    return CallEnded(
        call=view.facts,
        node=node,
        at=view.at,
        reason=reason,
        answered_at=view.answered_at,
        sip_status=status,
        error_message=masked_text(sentence)[:MAX_ERROR_MESSAGE] if sentence else None,
        error_id=error_id,
        tag=view.tag or None,
    )


def digit_pressed(view: CallView, digit: str, webhook: Webhook, *, masked: bool) -> StatusEventQueued:
    """Return the event for the `dtmfUrl` of `<StartGather>`; a masked one is stored without the digit."""
    body = webhook_bodies.dtmf(view, digit)
    if not masked:
        return _event("dtmf", view, webhook, body)
    return replace(_event("dtmf", view, webhook, webhook_bodies.without_digits(body)), hidden={"digit": digit})


def recording_available(view: CallView, recording: RecordingView, webhook: Webhook) -> StatusEventQueued:
    """Return the event for a recording's `recordingAvailableUrl`."""
    return _event("recordingAvailable", view, webhook, webhook_bodies.recording_available(view, recording))


def refer_complete(view: CallView, outcome: ReferView, webhook: Webhook) -> StatusEventQueued:
    """Return the event for the `referCompleteUrl` of a `<Refer>` that has succeeded: nobody needs its answer."""
    return _event("referComplete", view, webhook, webhook_bodies.refer_complete(view, outcome))


def transcription_wanted(view: CallView, recording_id: str, transcription_id: str, webhook: Webhook | None) -> TranscriptionWanted:
    """Return the report that has a recording written down, and what came of it told to the webhook, if there is one."""
    webhook = webhook or Webhook("")
    return TranscriptionWanted(
        call=view.facts,
        recording_id=recording_id,
        transcription_id=transcription_id,
        at=view.at,
        url=webhook.url,
        method=webhook.method,
        username=webhook.username,
        password=webhook.password,
        tag=view.tag,
    )


def transcription_event(
    event_type: str, view: CallView, transcription: TranscriptionView, webhook: Webhook, cause: str, sentence: str
) -> StatusEventQueued:
    """Return an event for the `transcriptionEventUrl` of `<StartTranscription>`."""
    sentence = masked_text(sentence)[:MAX_ERROR_MESSAGE]
    return _event(event_type, view, webhook, webhook_bodies.real_time_transcription(event_type, view, transcription, cause, sentence))


def transcript_kept(view: CallView, transcription: TranscriptionView, language: str, clips: tuple[Clip, ...]) -> TranscriptKept:
    """Return the report of a transcription that is over."""
    number, name, tracks = transcription.transcription_id, transcription.name, transcription.tracks
    return TranscriptKept(view.facts, number, name, view.at, tracks, language, clips)


def stream_event(event_type: str, view: CallView, stream: StreamView, webhook: Webhook, cause: str, sentence: str) -> StatusEventQueued:
    """Return an event for the `streamEventUrl` of `<StartStream>`."""
    sentence = masked_text(sentence)[:MAX_ERROR_MESSAGE]
    return _event(event_type, view, webhook, webhook_bodies.media_stream(event_type, view, stream, cause, sentence))


def notice(view: CallView, sentence: str) -> CallNotice:
    """Return what is to be read among the call's messages."""
    return CallNotice(view.facts.call_id, view.at, sentence)


def recording_stored(view: CallView, recording: RecordingView, path: str) -> RecordingStored:
    """Return the report of a complete recording file."""
    return RecordingStored(
        call=view.facts,
        recording_id=recording.recording_id,
        path=path,
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        duration_ms=recording.duration_ms,
        channels=recording.channels,
        file_format=recording.file_format,
        name=recording.name,
    )


def _event(event_type: str, view: CallView, webhook: Webhook, body: Payload) -> StatusEventQueued:
    return StatusEventQueued(
        call=view.facts,
        event_type=event_type,
        at=view.at,
        url=webhook.url,
        method=webhook.method,
        username=webhook.username,
        password=webhook.password,
        body=body,
    )
