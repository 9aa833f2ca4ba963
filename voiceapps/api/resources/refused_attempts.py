"""Refused attempts: whose calls to an application were refused, and by which rule."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.admission_checks import RuleData
from voiceapps.api.resources.voice_applications import TAG, ApplicationResourceViewSet
from voiceapps.api.wire.forms import Ipv4Text, TextOrNull, Time, parameters
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.choices import RefusalReason
from voiceapps.models import RefusedAttempt

NEWEST_FIRST = Keyset(("last_at", "id"), descending=True)

_FILTERS = {"reason": "reason", "sourceIp": "source_ip", "startTime": "last_at__gte", "endTime": "last_at__lt"}

EXAMPLE: dict[str, object] = {
    "id": 4711,
    "reason": "digest_wrong",
    "sipStatus": 401,
    "count": 3,
    "firstTime": "2026-11-22T18:04:31.250Z",
    "lastTime": "2026-11-22T18:04:49.871Z",
    "sourceIp": "198.51.100.42",
    "country": "US",
    "requestUser": "15f99d57-f823-4718-80cc-5d95d5b83e59",
    "sipCallId": "b1f0c8d2@pbx.example.com",
    "userAgent": "ExamplePBX 21.3",
    "trace": [{"rule": "digest", "verdict": "failed", "expected": "a valid digest for the application", "seen": "wrong"}],
}


class RefusedAttemptQuery(PageQuery):
    """The filters of the list; times are compared with `lastTime`."""

    reason = serializers.ChoiceField(RefusalReason, required=False)
    sourceIp = Ipv4Text(required=False)
    startTime = serializers.DateTimeField(required=False, help_text="From this time on (ISO 8601).")
    endTime = serializers.DateTimeField(required=False, help_text="Before this time (ISO 8601).")


class RefusedAttemptData(serializers.Serializer[Any]):
    """The like attempts of one minute, with the first one's details."""

    id = serializers.IntegerField()
    reason = serializers.ChoiceField(RefusalReason)
    sipStatus = serializers.IntegerField(source="status")
    count = serializers.IntegerField()
    firstTime = Time(source="first_at")
    lastTime = Time(source="last_at")
    sourceIp = TextOrNull(
        source="source_ip",
        help_text="Null in the entry that counts the attempts of all further sources, where very many called within one minute.",
    )
    country = TextOrNull()
    requestUser = serializers.CharField(source="request_user", allow_blank=True)
    sipCallId = serializers.CharField(source="sip_call_id", allow_blank=True)
    userAgent = serializers.CharField(source="user_agent", allow_blank=True)
    trace = RuleData(many=True)


class RefusedAttemptViewSet(ApplicationResourceViewSet):
    """The refused attempts of one application."""

    scopes: ClassVar[dict[str, str]] = {"GET": "voice-applications:read"}

    @operation(
        "listRefusedAttempts",
        tag=TAG,
        answers={200: enveloped("RefusedAttemptsAnswer", RefusedAttemptData(many=True))},
        example=[EXAMPLE],
        query=RefusedAttemptQuery,
    )
    def list(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """List the attempts to call this application that were refused, the latest first."""
        query = parameters(request, RefusedAttemptQuery)
        wanted = {column: query[name] for name, column in _FILTERS.items() if name in query}
        rows = RefusedAttempt.objects.filter(application=self.application(), **wanted)
        return answer_page(request, query, NEWEST_FIRST, rows, RefusedAttemptData)
