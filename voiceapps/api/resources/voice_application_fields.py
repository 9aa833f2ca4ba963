"""A voice application on the wire; every name is written out (voice-applications-api.md)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from voiceapps.api.wire.fields import (
    AtLeastOne,
    CallbackUrl,
    Credentials,
    Seconds,
    ShownOnce,
    StrictBoolean,
    StrictText,
    StrictTexts,
    TextOrNull,
)
from voiceapps.api.wire.strict import StrictInput
from voiceapps.choices import CallbackMethod
from voiceapps.rules.cidr import MAX_SOURCE_RANGES
from voiceapps.rules.inbound_sip import DIGEST_ALGORITHMS, InboundSipPatch
from voiceapps.rules.regions import COUNTRIES, GROUPS

MIN_TIMEOUT, MAX_TIMEOUT = 1, 25
RANGE = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"


@extend_schema_field({"type": "array", "maxItems": MAX_SOURCE_RANGES, "uniqueItems": True, "items": {"type": "string", "pattern": RANGE}})
class SourceRanges(StrictTexts):
    """Public IPv4 ranges in canonical form (D13)."""


@extend_schema_field({"type": "array", "uniqueItems": True, "items": {"type": "string", "enum": sorted({*COUNTRIES, *GROUPS})}})
class Regions(StrictTexts):
    """Countries and groups of them (D12)."""


@extend_schema_field(
    {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True, "items": {"type": "string", "enum": list(DIGEST_ALGORITHMS)}}
)
class DigestAlgorithms(StrictTexts):
    """What the digest challenge offers (D4)."""


class VoiceApplicationInput(StrictInput):
    """What POST and PATCH take; with PATCH a field that is not sent stays as it is and null clears it."""

    READ_ONLY = frozenset({"applicationId", "accountId", "sipUri", "sipAuthPassword"})

    applicationName = StrictText(source="name", max_length=200)
    callInitiatedCallbackUrl = CallbackUrl(source="initiated_url")
    callInitiatedMethod = serializers.ChoiceField(CallbackMethod.choices, source="initiated_method", required=False)
    callInitiatedFallbackUrl = CallbackUrl(source="initiated_fallback_url", required=False, allow_null=True)
    callInitiatedFallbackMethod = serializers.ChoiceField(CallbackMethod.choices, source="initiated_fallback_method", required=False)
    callInitiatedFallbackCreds = Credentials("fallback", required=False)
    callStatusCallbackUrl = CallbackUrl(source="status_url", required=False, allow_null=True)
    callStatusMethod = serializers.ChoiceField(CallbackMethod.choices, source="status_method", required=False)
    callbackCreds = Credentials("callback", required=False)
    callbackTimeout = Seconds(source="callback_timeout", required=False, min_value=MIN_TIMEOUT, max_value=MAX_TIMEOUT)
    maxConcurrentCalls = AtLeastOne(source="max_calls", required=False, allow_null=True)
    maxCallsPerSecond = AtLeastOne(source="max_calls_per_second", required=False, allow_null=True)
    inboundSipCallsEnabled = StrictBoolean(source="inbound_sip.enabled", required=False)
    passwordAuthEnabled = StrictBoolean(source="inbound_sip.password_auth", required=False)
    allowedSourceIps = SourceRanges(source="inbound_sip.source_ips", required=False)
    allowedRegions = Regions(source="inbound_sip.regions", required=False)
    sipDigestAlgorithms = DigestAlgorithms(source="inbound_sip.digest_algorithms", required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the model's fields that the request sets, with its SIP settings as one patch."""
        return attrs | {"inbound_sip": InboundSipPatch(**attrs.get("inbound_sip", {}))}


class UserId(serializers.Serializer[Any]):
    """What is shown of callback credentials."""

    userId = serializers.CharField(source="*")

    def to_representation(self, instance: str) -> Any:
        """Return the object for a user name, None for an empty one."""
        return super().to_representation(instance) if instance else None


class VoiceApplicationData(serializers.Serializer[Any]):
    """What every answer shows of an application."""

    applicationId = serializers.UUIDField(source="application_id")
    applicationName = serializers.CharField(source="name")
    sipUri = serializers.CharField(source="sip_uri", allow_null=True)
    inboundSipCallsEnabled = serializers.BooleanField(source="inbound_sip_enabled")
    passwordAuthEnabled = serializers.BooleanField(source="password_auth_enabled")
    allowedSourceIps = serializers.ListField(source="allowed_source_ips", child=serializers.CharField())
    allowedRegions = serializers.ListField(source="allowed_regions", child=serializers.CharField())
    sipDigestAlgorithms = serializers.ListField(source="digest_algorithms", child=serializers.CharField())
    callInitiatedCallbackUrl = serializers.CharField(source="initiated_url")
    callInitiatedMethod = serializers.ChoiceField(CallbackMethod.choices, source="initiated_method")
    callInitiatedFallbackUrl = TextOrNull(source="initiated_fallback_url")
    callInitiatedFallbackMethod = serializers.ChoiceField(CallbackMethod.choices, source="initiated_fallback_method")
    callInitiatedFallbackCreds = UserId(source="fallback_username", allow_null=True)
    callStatusCallbackUrl = TextOrNull(source="status_url")
    callStatusMethod = serializers.ChoiceField(CallbackMethod.choices, source="status_method")
    callbackCreds = UserId(source="callback_username", allow_null=True)
    callbackTimeout = serializers.FloatField(source="callback_timeout")
    maxConcurrentCalls = serializers.IntegerField(source="max_calls", allow_null=True)
    maxCallsPerSecond = serializers.IntegerField(source="max_calls_per_second", allow_null=True)
    sipAuthPassword = ShownOnce(source="sip_password", help_text="Only in the answer that made it.")
    sipAuthPasswordNotice = ShownOnce(help_text="In a replay of an Idempotency-Key: why the password is not there.")


EXAMPLE: dict[str, object] = {
    "applicationId": "15f99d57-f823-4718-80cc-5d95d5b83e59",
    "applicationName": "My Voice App",
    "sipUri": "sip:479fbd44-3362-45f3-bb80-284f21111be4@sip-uri.example.com",
    "inboundSipCallsEnabled": True,
    "passwordAuthEnabled": False,
    "allowedSourceIps": ["203.0.113.0/24"],
    "allowedRegions": ["US"],
    "sipDigestAlgorithms": ["MD5"],
    "callInitiatedCallbackUrl": "https://backend.example.com/initiate",
    "callInitiatedMethod": "POST",
    "callInitiatedFallbackUrl": None,
    "callInitiatedFallbackMethod": "POST",
    "callInitiatedFallbackCreds": None,
    "callStatusCallbackUrl": "https://backend.example.com/status",
    "callStatusMethod": "POST",
    "callbackCreds": {"userId": "voice"},
    "callbackTimeout": 15.0,
    "maxConcurrentCalls": None,
    "maxCallsPerSecond": None,
}
