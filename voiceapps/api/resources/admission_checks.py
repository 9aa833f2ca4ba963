"""Admission checks: whether a call would be admitted, rule by rule, without placing one."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.voice_applications import TAG, ApplicationResourceViewSet
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.forms import Ipv4Text, NumberOrNull, StrictInput, StrictText, valid
from voiceapps.choices import RefusalReason
from voiceapps.models import VoiceApplication
from voiceapps.rules.admission import DigestState, Outcome
from voiceapps.rules.regions import COUNTRIES
from voiceapps.services.trials.admission_checks import ImaginedCall, check, country_of

DIGEST_STATES = [(state.value, state.value.replace("_", " ")) for state in DigestState]
OUTCOMES = [(outcome.value, outcome.value) for outcome in Outcome]
VERDICTS = [(verdict, verdict) for verdict in ("passed", "failed", "skipped")]

EXAMPLE: dict[str, object] = {
    "outcome": "refuse",
    "sipStatus": 401,
    "reason": "ip_not_allowed",
    "country": "US",
    "trace": [
        {"rule": "enabled", "verdict": "passed", "expected": "inbound SIP calls enabled", "seen": "enabled"},
        {"rule": "source_ip", "verdict": "failed", "expected": "203.0.113.0/24", "seen": "198.51.100.42"},
        {"rule": "application_calls", "verdict": "passed", "expected": "at most 5 concurrent calls", "seen": "2 are up"},
    ],
}


class Country(StrictText):
    """A country code in capitals."""

    def to_internal_value(self, data: Any) -> str:
        """Return the code; raises ValidationError with the rule."""
        code = super().to_internal_value(data)
        if code not in COUNTRIES:
            raise serializers.ValidationError("Not an ISO 3166 alpha-2 country in capitals.")
        return code


class AdmissionCheckInput(StrictInput):
    """The call to imagine; without `country` it is looked up as the proxy does, null is a country that nobody knows."""

    sourceIp = Ipv4Text()
    country = Country(required=False, allow_null=True)
    digest = serializers.ChoiceField(DIGEST_STATES, default=DigestState.VALID.value, help_text="What the caller's credentials are worth.")


class RuleData(serializers.Serializer[Any]):
    """One rule with what it wanted and what it saw."""

    rule = serializers.CharField()
    verdict = serializers.ChoiceField(VERDICTS)
    expected = serializers.CharField(allow_blank=True)
    seen = serializers.CharField(allow_blank=True)


class AdmissionCheckData(serializers.Serializer[Any]):
    """What the proxy would do, and why."""

    outcome = serializers.ChoiceField(OUTCOMES, source="decision.outcome")
    sipStatus = NumberOrNull(source="decision.status", help_text="The status that the caller would get; null for a call that enters.")
    reason = serializers.ChoiceField(RefusalReason, source="decision.reason", allow_null=True)
    country = serializers.CharField(allow_null=True)
    trace = RuleData(source="decision.trace", many=True)


class AdmissionCheckViewSet(ApplicationResourceViewSet):
    """The checks of one application; nothing is kept of them."""

    scopes: ClassVar[dict[str, str]] = {"POST": "voice-applications:read"}

    @operation(
        "checkAdmission",
        tag=TAG,
        request=AdmissionCheckInput,
        request_example={"sourceIp": "198.51.100.42", "digest": "valid"},
        answers={200: enveloped("AdmissionCheckAnswer", AdmissionCheckData())},
        example=EXAMPLE,
        errors=(400, 401, 403, 404, 413, 415, 429),
    )
    def create(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """Tell whether a call from an address would enter now; it changes nothing."""
        application = self.application()
        wanted = valid(AdmissionCheckInput(data=request.data))
        source_ip = wanted["sourceIp"]
        country = wanted["country"] if "country" in wanted else country_of(source_ip)
        try:
            decision = check(application, ImaginedCall(source_ip, country, DigestState(wanted["digest"])))
        except VoiceApplication.DoesNotExist:
            raise Http404 from None
        return ok(AdmissionCheckData({"decision": decision, "country": country}).data)
