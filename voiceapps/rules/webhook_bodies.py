"""The bodies of webhooks.

Optional fields are left out, never null. All times are epoch seconds in and ISO 8601 UTC with milliseconds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from voiceapps.rules.masking import masked_url
from voiceapps.rules.reports import CallFacts

Payload = dict[str, object]
_PRESSED = ("digit", "digits", "terminatingDigit")


@dataclass(frozen=True, slots=True)
class CallerDetails:
    """What the first INVITE says of the caller and of the way of the call; what it does not say is empty."""

    diversion: Mapping[str, str] = field(default_factory=dict)
    """The last diversion (RFC 5806): `origTo`, and its parameters by their names."""
    uui: str = ""
    """The user-to-user information with its encoding (RFC 7433)."""
    sip_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers by their names in lower case; empty unless the application asks for them."""


@dataclass(frozen=True, slots=True)
class CallView:
    """What every body says of its call at one moment."""

    facts: CallFacts
    public_url: str
    at: float
    answered_at: float | None
    tag: str
    details: CallerDetails = CallerDetails()

    @property
    def url(self) -> str:
        """The call's URL in the call control API."""
        return call_url(self.public_url, self.facts.account_id, self.facts.call_id)


@dataclass(frozen=True, slots=True)
class RecordingView:
    """What bodies say of a finished recording."""

    recording_id: str
    started_at: float
    ended_at: float
    duration_ms: int
    channels: int = 1
    file_format: str = "wav"
    name: str = ""


@dataclass(frozen=True, slots=True)
class ReferView:
    """What bodies say of a REFER that has come to its end."""

    response: int | None
    """The final response to it, 408 if none came in time; None if the telephone told its outcome without one."""
    notified: int | None
    """The final status of the telephone's own call; None if the telephone told none."""

    @property
    def succeeded(self) -> bool:
        """True if the telephone has reached whom it was to call."""
        return self.notified is not None and self.notified < 300


@dataclass(frozen=True, slots=True)
class StreamView:
    """What bodies say of a stream."""

    stream_id: str
    name: str
    destination: str
    tracks: tuple[str, ...]
    started_at: float | None
    """None if it was never open."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What bodies say of words that were heard."""

    transcript: str
    confidence: float
    """From 0 to 1."""


@dataclass(frozen=True, slots=True)
class TranscriptionView:
    """What bodies say of a transcription of what is being said."""

    transcription_id: str
    name: str
    tracks: tuple[str, ...]
    destination: str
    stabilized: bool
    started_at: float | None
    """None if it never began."""


def initiate(view: CallView) -> Payload:
    """Return the body that asks for a call's first document."""
    details = view.details
    found = {"diversion": dict(details.diversion), "uui": details.uui, "sipHeaders": dict(details.sip_headers)}
    return {**_common("initiate", view), "sipCallId": view.facts.sip_call_id, **{name: value for name, value in found.items() if value}}


def redirect(view: CallView) -> Payload:
    """Return the body that asks for the document of `<Redirect>`."""
    return {**_common("redirect", view), **_answer(view), **_tag(view)}


def gather(view: CallView, digits: str, terminating_digit: str, speech: Speech | None = None) -> Payload:
    """Return the body that reports collected digits, which are empty after a time-out, and words, if any were heard."""
    collected: Payload = {"digits": digits, "terminatingDigit": terminating_digit}
    if speech is not None:
        collected["speech"] = {"transcript": speech.transcript, "confidence": round(speech.confidence, 2)}
    return {**_common("gather", view), **_answer(view), **_tag(view), **collected}


def dtmf(view: CallView, digit: str) -> Payload:
    """Return the body that reports one digit."""
    return {**_common("dtmf", view), **_answer(view), **_tag(view), "digit": digit}


def media_stream(event_type: str, view: CallView, stream: StreamView, cause: str, error_message: str) -> Payload:
    """Return the body that reports the start, the rejection or the end of a stream."""
    facts: Payload = {
        "destination": masked_url(stream.destination),
        "id": stream.stream_id,
        "name": stream.name,
        "tracks": list(stream.tracks),
        "type": "WebSocket",
    }
    if stream.started_at is not None:
        facts["startTime"] = iso_time(stream.started_at)
        if cause:
            facts["duration"] = iso_duration(round((view.at - stream.started_at) * 1000))
    return {**_common(event_type, view), **_answer(view), **_tag(view), "mediaStream": facts, **_why(cause, error_message)}


def real_time_transcription(event_type: str, view: CallView, transcription: TranscriptionView, cause: str, error_message: str) -> Payload:
    """Return the body that reports the start, the rejection, the end or the words of a transcription."""
    number, started_at = transcription.transcription_id, transcription.started_at
    facts: Payload = {
        "id": number,
        "name": transcription.name,
        "tracks": list(transcription.tracks),
        "stabilized": transcription.stabilized,
    }
    if transcription.destination:
        facts["destination"] = masked_url(transcription.destination)
    if started_at is not None:
        facts["startTime"] = iso_time(started_at)
    if event_type == "realTimeTranscriptionStopped" and started_at is not None:
        facts["duration"] = iso_duration(round((view.at - started_at) * 1000))
    if event_type == "realTimeTranscriptionAvailable":
        facts |= {"status": "available", "url": live_transcript_url(view.url, number), "completedTime": iso_time(view.at)}
    return {**_common(event_type, view), **_answer(view), **_tag(view), "realTimeTranscription": facts, **_why(cause, error_message)}


def without_digits(body: Payload) -> Payload:
    """Return a body with an asterisk for each digit that the caller pressed, and for each character that was heard."""
    return {name: _masked(name, value) for name, value in body.items()}


def _masked(name: str, value: object) -> object:
    if name == "speech" and isinstance(value, dict):
        return {**value, "transcript": "*" * len(str(value["transcript"]))}
    return "*" * len(value) if name in _PRESSED and isinstance(value, str) else value


def record_complete(view: CallView, recording: RecordingView) -> Payload:
    """Return the body that reports the end of `<Record>` and asks what comes next."""
    return {**_common("recordComplete", view), **_answer(view), **_tag(view), **_recording(view, recording)}


def refer_complete(view: CallView, outcome: ReferView) -> Payload:
    """Return the body that reports the end of `<Refer>` and, after a failure, asks what comes next."""
    codes = {"referSipResponseCode": outcome.response, "notifySipResponseCode": outcome.notified}
    return {
        **_common("referComplete", view),
        **_answer(view),
        **_tag(view),
        "referCallStatus": "success" if outcome.succeeded else "failure",
        **{name: code for name, code in codes.items() if code is not None},
    }


def recording_available(view: CallView, recording: RecordingView) -> Payload:
    """Return the body that reports a recording's file; its call may be over by then."""
    name = {"recordingName": recording.name} if recording.name else {}
    return {**_common("recordingAvailable", view), **_tag(view), **_recording(view, recording), **name, "status": "complete"}


def transcription_available(view: CallView, recording: RecordingView, transcription_id: str, *, status: str) -> Payload:
    """Return the body that reports what came of writing a recording down; its call may be over by then."""
    facts = {name: value for name, value in _recording(view, recording).items() if name != "channels"}
    transcription = {
        "id": transcription_id,
        "url": transcription_url(view.url, recording.recording_id),
        "status": status,
        "completedTime": iso_time(view.at),
    }
    return {**_common("transcriptionAvailable", view), **_tag(view), **facts, "transcription": transcription}


def disconnect(
    view: CallView,
    *,
    cause: str,
    error_message: str | None = None,
    error_id: str | None = None,
) -> Payload:
    """Return the body that reports a call's end, at `view.at`."""
    body = {
        **_common("disconnect", view),
        **_answer(view),
        "endTime": iso_time(view.at),
        "cause": cause,
        "sipCallId": view.facts.sip_call_id,
        **_tag(view),
    }
    errors = {"errorMessage": error_message, "errorId": error_id}
    return body | {name: value for name, value in errors.items() if value}


def call_url(public_url: str, account_id: str, call_id: str) -> str:
    """Return the URL of a call in the call control API."""
    return f"{public_url}/api/v2/accounts/{account_id}/calls/{call_id}"


def media_url(call_url: str, recording_id: str) -> str:
    """Return the URL from which a recording of the call is downloaded."""
    return f"{call_url}/recordings/{recording_id}/media"


def transcription_url(call_url: str, recording_id: str) -> str:
    """Return the URL at which the transcription of a recording of the call is."""
    return f"{call_url}/recordings/{recording_id}/transcription"


def live_transcript_url(call_url: str, transcription_id: str) -> str:
    """Return the URL at which a transcription of the call is shown."""
    return f"{call_url}/transcriptions/{transcription_id}"


def iso_time(seconds: float) -> str:
    """Return epoch seconds as `2022-06-17T22:19:40.375Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def iso_duration(milliseconds: int) -> str:
    """Return a duration as `PT20.056S`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"PT{seconds}.{rest:03d}S" if rest else f"PT{seconds}S"


def _common(event_type: str, view: CallView) -> Payload:
    facts = view.facts
    return {
        "eventType": event_type,
        "eventTime": iso_time(view.at),
        "accountId": facts.account_id,
        "applicationId": facts.application_id,
        "from": facts.from_uri,
        "to": facts.to_uri,
        "direction": "inbound",
        "callId": facts.call_id,
        "callUrl": view.url,
        "startTime": iso_time(facts.started_at),
    }


def _answer(view: CallView) -> Mapping[str, object]:
    return {} if view.answered_at is None else {"answerTime": iso_time(view.answered_at)}


def _tag(view: CallView) -> Mapping[str, object]:
    return {"tag": view.tag} if view.tag else {}


def _why(cause: str, error_message: str) -> Payload:
    return {name: value for name, value in (("cause", cause), ("errorMessage", error_message)) if value}


def _recording(view: CallView, recording: RecordingView) -> Payload:
    return {
        "recordingId": recording.recording_id,
        "mediaUrl": media_url(view.url, recording.recording_id),
        "startTime": iso_time(recording.started_at),
        "endTime": iso_time(recording.ended_at),
        "duration": iso_duration(recording.duration_ms),
        "fileFormat": recording.file_format,
        "channels": recording.channels,
    }
