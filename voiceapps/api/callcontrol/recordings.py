"""Recordings: their metadata, and the audio behind the `mediaUrl` of webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.callcontrol.base import CallControlViewSet, SpanQuery, not_found
from voiceapps.api.openapi import operation
from voiceapps.api.wire.errors import Problem, ProblemError
from voiceapps.api.wire.forms import Duration, TextOrNull, Time, parameters
from voiceapps.api.wire.ranges import answer_file
from voiceapps.choices import RecordingStatus
from voiceapps.models import Recording, Transcription
from voiceapps.rules.recording_files import MEDIA_TYPES
from voiceapps.services import recordings
from voiceapps.services.recordings import UnfinishedError

TAG = "Recordings"
MAX_LISTED = 1000

EXAMPLE: dict[str, object] = {
    "applicationId": "15f99d57-f823-4718-80cc-5d95d5b83e59",
    "accountId": "9900000",
    "callId": "c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f",
    "recordingId": "r-5b1e0c7d-9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d",
    "to": "sip:479fbd44-3362-45f3-bb80-284f21111be4@sip-uri.example.com",
    "from": "sip:2001@pbx.example.net",
    "direction": "inbound",
    "duration": "PT6.340S",
    "channels": 1,
    "startTime": "2026-11-22T18:04:22.125Z",
    "endTime": "2026-11-22T18:04:28.465Z",
    "fileFormat": "wav",
    "status": "complete",
    "mediaUrl": "https://voice.example.com/api/v2/accounts/9900000/calls/c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f"
    "/recordings/r-5b1e0c7d-9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d/media",
    "recordingName": None,
    "transcription": {
        "id": "t-3f1c2b4e-5d6a-4b7c-8d9e-0f1a2b3c4d5e",
        "status": "available",
        "completedTime": "2026-11-22T18:04:35.020Z",
        "url": "https://voice.example.com/api/v2/accounts/9900000/calls/c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f"
        "/recordings/r-5b1e0c7d-9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d/transcription",
    },
}


class RecordingQuery(SpanQuery):
    """The filters of an account's recordings; the times are those of the recordings."""

    maxStartTime = serializers.DateTimeField(required=False, help_text="Started before then.")


class TranscriptionData(serializers.Serializer[Any]):
    """What is known of a transcription."""

    id = serializers.CharField(source="transcription_id")
    status = serializers.CharField(
        help_text="`none` while it waits, `processing`, then `available`, `error`, `timeout`, `file-size-too-big` or `file-size-too-small`."
    )
    completedTime = Time(source="ended_at", allow_null=True, help_text="Null until it has ended.")
    url = serializers.CharField()


class RecordingData(serializers.Serializer[Any]):
    """What is known of a recording."""

    applicationId = serializers.UUIDField(source="call.application_id", allow_null=True, help_text="Null once the application is deleted.")
    accountId = serializers.CharField(source="call.account_id")
    callId = serializers.CharField(source="call_id")
    recordingId = serializers.CharField(source="recording_id")
    to = serializers.CharField(source="call.to_uri")
    locals()["from"] = serializers.CharField(source="call.from_uri")  # a keyword
    direction = serializers.ChoiceField(["inbound"], source="call.direction")
    duration = Duration(source="duration_ms", help_text="ISO 8601; `PT0S` while it goes on.")
    channels = serializers.IntegerField()
    startTime = Time(source="started_at")
    endTime = Time(source="ended_at", allow_null=True, help_text="Null while it goes on.")
    fileFormat = serializers.CharField(source="file_format")
    status = serializers.ChoiceField(RecordingStatus.choices)
    mediaUrl = serializers.CharField(source="media_url", allow_null=True, help_text="Null unless there is audio to download.")
    recordingName = TextOrNull(source="name")
    transcription = TranscriptionData(allow_null=True)


class RecordingViewSet(CallControlViewSet):
    """Recordings of an account or of one call."""

    scopes: ClassVar[dict[str, str]] = {"GET": "recordings:read", "DELETE": "recordings:write"}

    def recordings(self, **conditions: Any) -> QuerySet[Recording]:
        """Return recordings of the account with their calls and transcriptions."""
        rows = Recording.objects.filter(account_id=self.kwargs["account_id"], **conditions)
        return rows.select_related("call", "transcription").defer(*Transcription.JOINED_UNREAD)

    def recording(self) -> Recording:
        """Return the recording in the path; raises ProblemError 404."""
        recording_id = self.kwargs["recording_id"]
        found = self.recordings(call_id=self.kwargs["call_id"], pk=recording_id).first()
        if found is None:
            raise not_found("Recording", recording_id)
        return found


class AccountRecordingViewSet(RecordingViewSet):
    """The recordings of an account."""

    @operation(
        "listAccountCallRecordings",
        tag=TAG,
        answers={200: RecordingData(many=True)},
        example=EXAMPLE,
        query=RecordingQuery,
        errors=(400, 401, 403, 429),
        shape="call control",
    )
    def list(self, request: Request, account_id: str) -> Response:
        """List the newest 1000 recordings that match; `maxStartTime` leads to older ones."""
        query = parameters(request, RecordingQuery)
        columns = {"to": "call__to_uri", "from": "call__from_uri", "minStartTime": "started_at__gte", "maxStartTime": "started_at__lt"}
        rows = self.recordings(**{column: query[name] for name, column in columns.items() if name in query})
        return Response(RecordingData(rows.order_by("-started_at", "-recording_id")[:MAX_LISTED], many=True).data)


class CallRecordingViewSet(RecordingViewSet):
    """The recordings of a call."""

    lookup_url_kwarg = "recording_id"
    lookup_value_converter = "name"

    @operation(
        "listCallRecordings",
        tag=TAG,
        answers={200: RecordingData(many=True)},
        example=EXAMPLE,
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    def list(self, _request: Request, account_id: str, call_id: str) -> Response:
        """List a call's first 1000 recordings, the oldest first; a call that does not exist has none."""
        rows = self.recordings(call_id=call_id).order_by("started_at", "recording_id")
        return Response(RecordingData(rows[:MAX_LISTED], many=True).data)

    @operation(
        "getCallRecording",
        tag=TAG,
        answers={200: RecordingData()},
        example=EXAMPLE,
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    def retrieve(self, _request: Request, account_id: str, call_id: str, recording_id: str) -> Response:
        """Show what is known of a recording."""
        return Response(RecordingData(self.recording()).data)

    @operation(
        "deleteCallRecording",
        tag=TAG,
        answers={204: None},
        errors=(401, 403, 404, 409, 429),
        shape="call control",
    )
    def destroy(self, _request: Request, account_id: str, call_id: str, recording_id: str) -> Response:
        """Delete a recording, its audio and what is known of it."""
        self._delete(recordings.delete)
        return Response(status=204)

    @operation(
        "downloadCallRecording",
        tag=TAG,
        answers={(status, kind): bytes for kind in MEDIA_TYPES.values() for status in (200, 206)},
        errors=(401, 403, 404, 416, 429),
        shape="call control",
    )
    @action(detail=True, name="Recording Media")
    def media(self, request: Request, account_id: str, call_id: str, recording_id: str) -> HttpResponseBase:
        """Download a recording, or one range of its bytes."""
        recording = self.recording()
        path = recordings.file_of(recording) if recording.is_playable else None
        if path is None or not path.is_file():
            raise not_found("Recording", recording_id)
        return answer_file(request, path, tag=f'"{recording_id}"', media_type=MEDIA_TYPES[recording.file_format])

    @operation(
        "deleteCallRecordingMedia",
        tag=TAG,
        answers={204: None},
        errors=(401, 403, 404, 409, 429),
        shape="call control",
    )
    @media.mapping.delete  # type: ignore[untyped-decorator]  # DRF's stubs say nothing of it
    def delete_media(self, _request: Request, account_id: str, call_id: str, recording_id: str) -> Response:
        """Delete the audio of a recording; what is known of it stays, with the status `deleted`."""
        self._delete(recordings.delete_media)
        return Response(status=204)

    def _delete(self, delete: Callable[..., None]) -> None:
        recording = self.recording()
        try:
            delete(recording, actor=self.actor)
        except UnfinishedError:
            raise ProblemError(Problem(409, f"Recording {recording.recording_id} goes on")) from None
