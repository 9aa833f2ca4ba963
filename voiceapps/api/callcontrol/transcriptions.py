"""Recordings that are written down, in the shape of Programmable Voice."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.callcontrol.base import MAX_TAG, callback_method, credential, not_found
from voiceapps.api.callcontrol.recordings import TAG, RecordingViewSet
from voiceapps.api.openapi import operation
from voiceapps.api.wire.errors import Problem, ProblemError
from voiceapps.api.wire.forms import CallbackUrl, Seconds, StrictBoolean, StrictInput, StrictText, valid
from voiceapps.choices import TranscriptionStatus
from voiceapps.models import Transcription
from voiceapps.rules.transcripts import Transcript
from voiceapps.services.recordings import UnfinishedError
from voiceapps.services.transcriptions import orders
from voiceapps.services.transcriptions.orders import Callback, NoAudioError, StillOpenError

EXAMPLE: dict[str, object] = {
    "transcripts": [{"speaker": 0, "text": "hello please call me back thank you", "confidence": 0.8}],
    "clips": [
        {"speaker": 0, "text": "hello", "confidence": 0.9, "startTimeSeconds": 0.42, "endTimeSeconds": 0.87},
        {"speaker": 0, "text": "please call me back thank you", "confidence": 0.7, "startTimeSeconds": 1.73, "endTimeSeconds": 3.95},
    ],
}
ORDER_EXAMPLE: dict[str, object] = {
    "callbackUrl": "https://backend.example.com/written-down",
    "callbackMethod": "POST",
    "tag": "voicemail-7",
}


class TranscribeInput(StrictInput):
    """Take who hears what came of it; the vendor's SDK always sends the fields that have defaults."""

    callbackUrl = CallbackUrl(required=False, help_text="Gets `transcriptionAvailable`, whatever came of it.")
    callbackMethod = callback_method()
    username = credential()
    password = credential(write_only=True)
    tag = StrictText(max_length=MAX_TAG, required=False, allow_blank=True, trim_whitespace=False)
    callbackTimeout = Seconds(default=15, min_value=1, max_value=25, help_text="Without effect: each attempt has 15 s.")
    detectLanguage = StrictBoolean(default=False, help_text="Without effect: English is recognised.")

    def callback(self) -> Callback:
        """Return who hears what came of it; raises ValidationError."""
        given = valid(self)
        texts = {name: given.get(name, "") for name in ("username", "password", "tag")}
        return Callback(given.get("callbackUrl", ""), given["callbackMethod"], **texts)


class SpeechData(serializers.Serializer[Any]):
    """All that a speaker said; the confidence is the mean of the clips'."""

    speaker = serializers.IntegerField(help_text="The channel of the recording, from 0 on.")
    text = serializers.CharField(allow_blank=True)
    confidence = serializers.FloatField(min_value=0, max_value=1)


class ClipData(SpeechData):
    """What a speaker said without a pause."""

    startTimeSeconds = serializers.FloatField(source="start")
    endTimeSeconds = serializers.FloatField(source="end")


class TranscriptData(serializers.Serializer[Any]):
    """What was understood of a recording."""

    transcripts = SpeechData(source="speeches", many=True)
    clips = ClipData(many=True)


class TranscriptionViewSet(RecordingViewSet):
    """What recordings were written down as."""

    lookup_url_kwarg = "recording_id"
    lookup_value_converter = "name"

    scopes: ClassVar[dict[str, str]] = {"GET": "recordings:read", "POST": "recordings:write", "DELETE": "recordings:write"}

    @operation(
        "getRecordingTranscription",
        tag=TAG,
        answers={200: TranscriptData()},
        example=EXAMPLE,
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    @action(detail=True, name="Recording Transcription")
    def transcription(self, _request: Request, account_id: str, call_id: str, recording_id: str) -> Response:
        """Show what was understood of a recording."""
        rows = Transcription.objects.filter(account=account_id, recording=recording_id, recording__call=call_id)
        clips = rows.filter(status=TranscriptionStatus.AVAILABLE).values_list("clips", flat=True).first()
        if clips is None:
            raise _not_found(recording_id)
        return Response(TranscriptData(Transcript.parse(clips)).data)

    @operation(
        "transcribeCallRecording",
        tag=TAG,
        request=TranscribeInput,
        request_example=ORDER_EXAMPLE,
        answers={204: None},
        errors=(400, 401, 403, 404, 409, 415, 429),
        shape="call control",
    )
    @transcription.mapping.post  # type: ignore[untyped-decorator]  # DRF's stubs say nothing of it
    def transcribe(self, request: Request, account_id: str, call_id: str, recording_id: str) -> Response:
        """Have a recording written down, in place of what it was written down as before; `transcriptionAvailable` tells the end."""
        callback = TranscribeInput(data=request.data).callback()
        try:
            orders.order(self.recording().recording_id, callback, actor=self.actor)
        except NoAudioError:
            raise ProblemError(Problem(404, f"Recording {recording_id} has no audio")) from None
        except UnfinishedError:
            raise ProblemError(Problem(409, f"Recording {recording_id} goes on")) from None
        except StillOpenError:
            raise ProblemError(Problem(409, f"Recording {recording_id} is being transcribed")) from None
        return Response(status=204)

    @operation(
        "deleteRecordingTranscription",
        tag=TAG,
        answers={204: None},
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    @transcription.mapping.delete  # type: ignore[untyped-decorator]  # likewise
    def delete_transcription(self, _request: Request, account_id: str, call_id: str, recording_id: str) -> Response:
        """Delete what a recording was written down as, or the order to do so: then nothing tells the end."""
        if not orders.delete(self.recording(), actor=self.actor):
            raise _not_found(recording_id)
        return Response(status=204)


def _not_found(recording_id: str) -> ProblemError:
    return not_found("Transcription of recording", recording_id)
