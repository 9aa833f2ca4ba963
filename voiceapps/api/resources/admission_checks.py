"""Admission checks: whether a call would be admitted, rule by rule, without placing one."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q
from django.http import Http404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.voice_applications import TAG, ApplicationResourceViewSet
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.forms import Ipv4Text, NumberOrNull, StrictInput, StrictText, valid
from voiceapps.choices import RefusalReason
from voiceapps.daemon.admission_reads import admission_snapshots
from voiceapps.daemon.geo import CountryLookup
from voiceapps.models import Call, VoiceApplication
from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Decision, DigestState, Outcome, RequestFacts, decide
from voiceapps.rules.limits import Usage, apply_limits
from voiceapps.rules.regions import COUNTRIES

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
        country = wanted["country"] if "country" in wanted else _countries().country_of(source_ip)
        decision = _check(application, source_ip, country, DigestState(wanted["digest"]))
        return ok(AdmissionCheckData({"decision": decision, "country": country}).data)


@cache
def _countries() -> CountryLookup:
    return CountryLookup(settings.GEOIP_DB, settings.REGION_OVERRIDES)


def _check(application: VoiceApplication, source_ip: str, country: str | None, digest: DigestState) -> Decision:
    """Return the decision about a call to the application's own SIP URI; raises Http404 if the application is gone."""
    user = application.sip_user or str(application.pk)
    snapshot = admission_snapshots([user], asking=None).get(user)
    if snapshot is None:
        raise Http404
    facts = RequestFacts(
        host=settings.SIP_DOMAIN,
        host_is_ours=True,
        request_user=user,
        to_user=user,
        source_ip=source_ip,
        country=country,
        digest=digest,
        source_limited=False,
    )
    decision = decide(facts, request_application=snapshot, to_application=snapshot)
    return apply_limits(decision, snapshot, Usage(up=snapshot.calls_elsewhere, recent=_recent(snapshot)))


def _recent(snapshot: AdmissionSnapshot) -> CallCount:
    """Return the new calls of the last second at all proxies, zeros if no limit needs them."""
    if snapshot.application_limits.max_calls_per_second is None and snapshot.account_limits.max_calls_per_second is None:
        return CallCount()
    calls = Call.objects.filter(account_id=snapshot.account_id, started_at__gt=timezone.now() - timedelta(seconds=1))
    return CallCount(**calls.aggregate(application=Count("pk", filter=Q(application_id=snapshot.application_id)), account=Count("pk")))
