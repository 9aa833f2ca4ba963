"""What `<StartTranscription>` has written down, in the shape of Programmable Voice."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.callcontrol.base import CALLS_TAG, CallControlViewSet, not_found
from voiceapps.api.openapi import operation
from voiceapps.models import LiveTranscript
from voiceapps.services.transcriptions import live

MAX_LISTED = 1_000
EXAMPLE: dict[str, object] = {
    "accountId": "9900000",
    "callId": "c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f",
    "transcriptionId": "t-6d1f4a70-6d2b-4b5e-9d57-0f6f3a1c2b11",
    "tracks": [{"detectedLanguage": "en-US", "track": "inbound", "transcript": "hello i need help", "confidence": 0.8}],
}
LIST_EXAMPLE: dict[str, object] = {
    "transcriptionId": "t-6d1f4a70-6d2b-4b5e-9d57-0f6f3a1c2b11",
    "transcriptionName": "agent",
    "transcriptionUrl": "https://voice.example.com/api/v2/accounts/9900000/calls/c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f"
    "/transcriptions/t-6d1f4a70-6d2b-4b5e-9d57-0f6f3a1c2b11",
}


class LiveTranscriptLine(serializers.Serializer[Any]):
    """One transcription of a call."""

    transcriptionId = serializers.CharField(source="transcription_id")
    transcriptionName = serializers.CharField(source="name")
    transcriptionUrl = serializers.CharField(source="url")


class TrackData(serializers.Serializer[Any]):
    """What was said on one track."""

    detectedLanguage = serializers.CharField(source="language", help_text="Of the preferred ones the first that is recognised.")
    track = serializers.ChoiceField(["inbound", "outbound"])
    transcript = serializers.CharField(source="said.text", allow_blank=True)
    confidence = serializers.FloatField(
        source="said.confidence", min_value=0, max_value=1, help_text="The mean of the utterances'; 0 where nothing was understood."
    )


class LiveTranscriptData(serializers.Serializer[Any]):
    """All that one transcription of a call holds."""

    accountId = serializers.CharField(source="call.account_id")
    callId = serializers.CharField(source="call_id")
    transcriptionId = serializers.CharField(source="transcription_id")
    tracks = TrackData(source="speeches", many=True)


class LiveTranscriptViewSet(CallControlViewSet):
    """The transcriptions of a call."""

    lookup_url_kwarg = "transcription_id"
    lookup_value_converter = "name"

    scopes: ClassVar[dict[str, str]] = {"GET": "calls:read", "DELETE": "calls:write"}

    @operation(
        "listRealTimeTranscriptions",
        tag=CALLS_TAG,
        answers={200: LiveTranscriptLine(many=True)},
        example=LIST_EXAMPLE,
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    def list(self, _request: Request, account_id: str, call_id: str) -> Response:
        """List what was written down of a call, the first 1000 in order; a call that does not exist has nothing."""
        rows = LiveTranscript.objects.filter(call=call_id, call__account=account_id).select_related("call").defer("clips")
        return Response(LiveTranscriptLine(rows.order_by("ended_at", "transcription_id")[:MAX_LISTED], many=True).data)

    @operation(
        "getRealTimeTranscription",
        tag=CALLS_TAG,
        answers={200: LiveTranscriptData()},
        example=EXAMPLE,
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    def retrieve(self, _request: Request, account_id: str, call_id: str, transcription_id: str) -> Response:
        """Show what was understood on each track."""
        return Response(LiveTranscriptData(self._found()).data)

    @operation(
        "deleteRealTimeTranscription",
        tag=CALLS_TAG,
        answers={200: None},
        errors=(401, 403, 404, 429),
        shape="call control",
    )
    def destroy(self, _request: Request, account_id: str, call_id: str, transcription_id: str) -> Response:
        """Delete what was written down."""
        live.delete(self._found(), actor=self.actor)
        return Response()

    def _found(self) -> LiveTranscript:
        path = self.kwargs
        rows = LiveTranscript.objects.filter(call=path["call_id"], call__account=path["account_id"]).select_related("call")
        found = rows.filter(pk=path["transcription_id"]).first()
        if found is None:
            raise not_found("Transcription", path["transcription_id"])
        return found
