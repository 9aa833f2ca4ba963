"""SIP status: the calls of an application's SIP URI, now and during the last day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Count, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.voice_applications import TAG, ApplicationResourceViewSet
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.forms import TextOrNull, Time
from voiceapps.choices import CallState
from voiceapps.models import Call, OpenCall, RefusedAttempt, VoiceApplication

EXAMPLE: dict[str, object] = {
    "inboundSipCallsEnabled": True,
    "liveCalls": 1,
    "maxConcurrentCalls": 5,
    "lastCall": {
        "callId": "c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d",
        "startTime": "2026-11-22T18:04:31.250Z",
        "answerTime": "2026-11-22T18:04:32.871Z",
        "endTime": None,
        "state": "answered",
        "cause": None,
    },
    "last24Hours": {"calls": 120, "answeredCalls": 118, "refusedAttempts": 7, "refusalsByReason": {"digest_wrong": 5, "capacity": 2}},
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of calls and of refused attempts in a span of time."""

    calls: int
    answered: int
    refusals: Mapping[str, int]

    @property
    def refused(self) -> int:
        """The refused attempts of all reasons."""
        return sum(self.refusals.values())


class LastCall(serializers.Serializer[Any]):
    """The call that came last; `cause` is the one of the disconnect webhook."""

    callId = serializers.CharField(source="call_id")
    startTime = Time(source="started_at")
    answerTime = Time(source="answered_at", allow_null=True)
    endTime = Time(source="ended_at", allow_null=True)
    state = serializers.ChoiceField(CallState.choices)
    cause = TextOrNull()


class LastDay(serializers.Serializer[Any]):
    """Figures of the last 24 hours."""

    calls = serializers.IntegerField()
    answeredCalls = serializers.IntegerField(source="answered")
    refusedAttempts = serializers.IntegerField(source="refused")
    refusalsByReason = serializers.DictField(source="refusals", child=serializers.IntegerField())


class SipStatusData(serializers.Serializer[Any]):
    """The state of an application's SIP URI."""

    inboundSipCallsEnabled = serializers.BooleanField(source="application.inbound_sip_enabled")
    liveCalls = serializers.IntegerField(source="live")
    maxConcurrentCalls = serializers.IntegerField(source="application.max_calls", allow_null=True)
    lastCall = LastCall(source="last", allow_null=True)
    last24Hours = LastDay(source="day")


class SipStatusViewSet(ApplicationResourceViewSet):
    """The SIP status of one application."""

    lookup_url_kwarg = "application_id"
    lookup_value_converter = "id"

    scopes: ClassVar[dict[str, str]] = {"GET": "voice-applications:read"}

    @operation(
        "getSipStatus",
        tag=TAG,
        answers={200: enveloped("SipStatusAnswer", SipStatusData())},
        example=EXAMPLE,
        errors=(401, 403, 404, 429),
    )
    @action(detail=True, url_path="sip-status", name="Sip Status")
    def sip_status(self, _request: Request, account_id: str, application_id: UUID) -> Response:
        """Show live calls, the last call and the figures of the last 24 hours."""
        application = self.application()
        last, live = _last_call(application)
        day = _figures(application, timezone.now() - timedelta(days=1))
        return ok(SipStatusData({"application": application, "live": live, "last": last, "day": day}).data)


def _last_call(application: VoiceApplication) -> tuple[Call | None, int]:
    """Return the application's last call, None if it never had one, and the number of its live calls, by one query."""
    up = OpenCall.objects.filter(account_id=application.account_id, application_id=application.pk)
    live = up.order_by().values("application_id").annotate(count=Count("pk")).values("count")
    last = Call.objects.filter(application=application).order_by("-started_at").annotate(live=Coalesce(Subquery(live), 0)).first()
    return (last, last.live) if last else (None, 0)


def _figures(application: VoiceApplication, since: datetime) -> Figures:
    calls = Call.objects.filter(application=application, started_at__gte=since)
    counts = calls.aggregate(calls=Count("pk"), answered=Count("answered_at"))
    refused = RefusedAttempt.objects.filter(application=application, last_at__gte=since).order_by()
    return Figures(**counts, refusals=dict(refused.values_list("reason").annotate(Sum("count"))))
