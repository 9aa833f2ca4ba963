"""A voice application on the wire; every name is written out (voice-applications-api.md)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from voiceapps.api.wire.fields import AtLeastOne, CallbackUrl, Credentials, Seconds, StrictBoolean, StrictText, StrictTexts
from voiceapps.api.wire.strict import StrictInput
from voiceapps.choices import CallbackMethod
from voiceapps.models import VoiceApplication
from voiceapps.rules.cidr import MAX_SOURCE_RANGES
from voiceapps.rules.inbound_sip import DIGEST_ALGORITHMS, InboundSipPatch
from voiceapps.rules.regions import COUNTRIES, GROUPS

MIN_TIMEOUT, MAX_TIMEOUT = 1, 25
RANGE = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"

_MODEL_FIELDS = {
    "applicationName": "name",
    "callInitiatedCallbackUrl": "initiated_url",
    "callInitiatedMethod": "initiated_method",
    "callInitiatedFallbackUrl": "initiated_fallback_url",
    "callInitiatedFallbackMethod": "initiated_fallback_method",
    "callStatusCallbackUrl": "status_url",
    "callStatusMethod": "status_method",
    "callbackTimeout": "callback_timeout",
    "maxConcurrentCalls": "max_calls",
    "maxCallsPerSecond": "max_calls_per_second",
}
_EMPTY = {"maxConcurrentCalls": None, "maxCallsPerSecond": None}
_CREDENTIALS = {
    "callbackCreds": ("callback_username", "callback_password"),
    "callInitiatedFallbackCreds": ("fallback_username", "fallback_password"),
}
_SIP_FIELDS = {
    "inboundSipCallsEnabled": "enabled",
    "passwordAuthEnabled": "password_auth",
    "allowedSourceIps": "source_ips",
    "allowedRegions": "regions",
    "sipDigestAlgorithms": "digest_algorithms",
}


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

    applicationName = StrictText(max_length=200)
    callInitiatedCallbackUrl = CallbackUrl()
    callInitiatedMethod = serializers.ChoiceField(CallbackMethod.choices, required=False)
    callInitiatedFallbackUrl = CallbackUrl(required=False, allow_null=True)
    callInitiatedFallbackMethod = serializers.ChoiceField(CallbackMethod.choices, required=False)
    callInitiatedFallbackCreds = Credentials(required=False, allow_null=True)
    callStatusCallbackUrl = CallbackUrl(required=False, allow_null=True)
    callStatusMethod = serializers.ChoiceField(CallbackMethod.choices, required=False)
    callbackCreds = Credentials(required=False, allow_null=True)
    callbackTimeout = Seconds(required=False, min_value=MIN_TIMEOUT, max_value=MAX_TIMEOUT)
    maxConcurrentCalls = AtLeastOne(required=False, allow_null=True)
    maxCallsPerSecond = AtLeastOne(required=False, allow_null=True)
    inboundSipCallsEnabled = StrictBoolean(required=False)
    passwordAuthEnabled = StrictBoolean(required=False)
    allowedSourceIps = SourceRanges(required=False)
    allowedRegions = Regions(required=False)
    sipDigestAlgorithms = DigestAlgorithms(required=False)

    def model_fields(self) -> dict[str, Any]:
        """Return the model's fields that the request sets; null is the empty text, or no limit."""
        data = self.validated_data
        fields = {
            _MODEL_FIELDS[name]: _EMPTY.get(name, "") if value is None else value for name, value in data.items() if name in _MODEL_FIELDS
        }
        for name, (username, password) in _CREDENTIALS.items():
            if name in data:
                credentials = data[name] or {"userId": "", "password": ""}
                fields |= {username: credentials["userId"], password: credentials["password"]}
        return fields

    def inbound_sip(self) -> InboundSipPatch:
        """Return the SIP settings that the request carries."""
        return InboundSipPatch(**{_SIP_FIELDS[name]: value for name, value in self.validated_data.items() if name in _SIP_FIELDS})


class UserId(serializers.Serializer[Any]):
    """What is shown of callback credentials."""

    userId = serializers.CharField()


class VoiceApplicationData(serializers.Serializer[Any]):
    """What every answer shows of an application."""

    applicationId = serializers.UUIDField()
    applicationName = serializers.CharField()
    sipUri = serializers.CharField(allow_null=True)
    inboundSipCallsEnabled = serializers.BooleanField()
    passwordAuthEnabled = serializers.BooleanField()
    allowedSourceIps = serializers.ListField(child=serializers.CharField())
    allowedRegions = serializers.ListField(child=serializers.CharField())
    sipDigestAlgorithms = serializers.ListField(child=serializers.CharField())
    callInitiatedCallbackUrl = serializers.CharField()
    callInitiatedMethod = serializers.ChoiceField(CallbackMethod.choices)
    callInitiatedFallbackUrl = serializers.CharField(allow_null=True)
    callInitiatedFallbackMethod = serializers.ChoiceField(CallbackMethod.choices)
    callInitiatedFallbackCreds = UserId(allow_null=True)
    callStatusCallbackUrl = serializers.CharField(allow_null=True)
    callStatusMethod = serializers.ChoiceField(CallbackMethod.choices)
    callbackCreds = UserId(allow_null=True)
    callbackTimeout = serializers.FloatField()
    maxConcurrentCalls = serializers.IntegerField(allow_null=True)
    maxCallsPerSecond = serializers.IntegerField(allow_null=True)
    sipAuthPassword = serializers.CharField(required=False, help_text="Only in the answer that made it.")
    sipAuthPasswordNotice = serializers.CharField(
        required=False, help_text="In a replay of an Idempotency-Key: why the password is not there."
    )


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


def application_data(application: VoiceApplication, sip_password: str | None = None) -> dict[str, object]:
    """Return an application as the wire shows it, with the SIP password only where one was just made."""
    data: dict[str, object] = {
        "applicationId": str(application.application_id),
        "applicationName": application.name,
        "sipUri": application.sip_uri,
        "inboundSipCallsEnabled": application.inbound_sip_enabled,
        "passwordAuthEnabled": application.password_auth_enabled,
        "allowedSourceIps": application.allowed_source_ips,
        "allowedRegions": application.allowed_regions,
        "sipDigestAlgorithms": application.digest_algorithms,
        "callInitiatedCallbackUrl": application.initiated_url,
        "callInitiatedMethod": application.initiated_method,
        "callInitiatedFallbackUrl": application.initiated_fallback_url or None,
        "callInitiatedFallbackMethod": application.initiated_fallback_method,
        "callInitiatedFallbackCreds": _user_id(application.fallback_username),
        "callStatusCallbackUrl": application.status_url or None,
        "callStatusMethod": application.status_method,
        "callbackCreds": _user_id(application.callback_username),
        "callbackTimeout": application.callback_timeout,
        "maxConcurrentCalls": application.max_calls,
        "maxCallsPerSecond": application.max_calls_per_second,
    }
    return data | ({"sipAuthPassword": sip_password} if sip_password else {})


def _user_id(username: str) -> dict[str, str] | None:
    return {"userId": username} if username else None
