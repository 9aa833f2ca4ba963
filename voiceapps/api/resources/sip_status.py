"""SIP status: how an application's SIP URI does just now and did during the last day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Count, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.voice_applications import TAG, VoiceApplicationView
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.times import shown_time
from voiceapps.choices import CallState
from voiceapps.models import Call, RefusedAttempt, VoiceApplication
from voiceapps.rules.endings import EndReason

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


class LastCall(serializers.Serializer[Any]):
    """The call that came last; `cause` is the one of the disconnect webhook."""

    callId = serializers.CharField()
    startTime = serializers.DateTimeField()
    answerTime = serializers.DateTimeField(allow_null=True)
    endTime = serializers.DateTimeField(allow_null=True)
    state = serializers.ChoiceField(CallState.choices)
    cause = serializers.CharField(allow_null=True)


class LastDay(serializers.Serializer[Any]):
    """Figures of the last 24 hours."""

    calls = serializers.IntegerField()
    answeredCalls = serializers.IntegerField()
    refusedAttempts = serializers.IntegerField()
    refusalsByReason = serializers.DictField(child=serializers.IntegerField())


class SipStatusData(serializers.Serializer[Any]):
    """The state of an application's SIP URI."""

    inboundSipCallsEnabled = serializers.BooleanField()
    liveCalls = serializers.IntegerField()
    maxConcurrentCalls = serializers.IntegerField(allow_null=True)
    lastCall = LastCall(allow_null=True)
    last24Hours = LastDay()


class SipStatus(VoiceApplicationView):
    """The SIP status of one application."""

    scopes: ClassVar[dict[str, str]] = {"GET": "voice-applications:read"}

    @operation(
        "getSipStatus",
        tag=TAG,
        answers={200: enveloped("SipStatusAnswer", SipStatusData())},
        example=EXAMPLE,
        errors=(401, 403, 404, 429),
    )
    def get(self, _request: Request, account_id: str, application_id: UUID) -> Response:
        """Show live calls, the last call and the figures of the last 24 hours."""
        application = self.application()
        last, live = _last_call(application)
        return ok(
            {
                "inboundSipCallsEnabled": application.inbound_sip_enabled,
                "liveCalls": live,
                "maxConcurrentCalls": application.max_calls,
                "lastCall": _call_data(last) if last else None,
                "last24Hours": _figures(application, timezone.now() - timedelta(days=1)),
            }
        )


def _last_call(application: VoiceApplication) -> tuple[Call | None, int]:
    """Return the application's last call, None if it never had one, and the number of its live ones; one query."""
    calls = Call.objects.filter(account_id=application.account_id, application=application)
    live = calls.filter(~Q(state=CallState.DISCONNECTED)).order_by().values("application").annotate(count=Count("pk")).values("count")
    last = Call.objects.filter(application=application).order_by("-started_at").annotate(live=Coalesce(Subquery(live), 0)).first()
    return (last, last.live) if last else (None, 0)


def _call_data(call: Call) -> dict[str, object]:
    return {
        "callId": call.call_id,
        "startTime": shown_time(call.started_at),
        "answerTime": shown_time(call.answered_at),
        "endTime": shown_time(call.ended_at),
        "state": call.state,
        "cause": EndReason(call.end_reason).cause if call.end_reason else None,
    }


def _figures(application: VoiceApplication, since: datetime) -> dict[str, object]:
    calls = Call.objects.filter(application=application, started_at__gte=since)
    counts = calls.aggregate(calls=Count("pk"), answered=Count("answered_at"))
    refused = RefusedAttempt.objects.filter(application=application, last_at__gte=since).order_by()
    reasons = dict(refused.values_list("reason").annotate(Sum("count")))
    return {
        "calls": counts["calls"],
        "answeredCalls": counts["answered"],
        "refusedAttempts": sum(reasons.values()),
        "refusalsByReason": reasons,
    }
