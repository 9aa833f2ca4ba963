"""Voice applications: list, create, read, change, delete."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.base import AccountViewSet
from voiceapps.api.openapi import IDEMPOTENCY_KEY, enveloped, header, operation
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.errors import conflict
from voiceapps.api.wire.forms import (
    CallbackUrl,
    Credentials,
    Seconds,
    ShownOnce,
    StrictBoolean,
    StrictInput,
    StrictText,
    StrictTexts,
    TextOrNull,
    WholeNumber,
    parameters,
    valid,
)
from voiceapps.api.wire.guards import entity_tag, once, wanted_versions
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.choices import CallbackMethod, MediaLearning, SecureMedia
from voiceapps.models import VoiceApplication
from voiceapps.models.accounts import MAX_CALLS, MAX_CALLS_PER_SECOND
from voiceapps.models.applications import NAME_LENGTH
from voiceapps.rules.cidr import MAX_SOURCE_RANGES
from voiceapps.rules.http.callback import MAX_TIMEOUT, MIN_TIMEOUT, check_timeout
from voiceapps.rules.inbound_sip import DIGEST_ALGORITHMS, InboundSipPatch
from voiceapps.rules.limits import MAX_LIMIT, MIN_LIMIT
from voiceapps.rules.media_settings import (
    MAX_KEEPALIVE,
    MAX_MEDIA_TIMEOUT,
    MIN_MEDIA_TIMEOUT,
    check_keepalive,
    check_media_sources,
)
from voiceapps.rules.regions import COUNTRIES, GROUPS
from voiceapps.services import applications
from voiceapps.services.applications import CallsInProgressError, Changed

TAG = "Voice applications"
BY_NAME = Keyset(("name", "application_id"))
RANGE = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"


@extend_schema_field({"type": "array", "maxItems": MAX_SOURCE_RANGES, "uniqueItems": True, "items": {"type": "string", "pattern": RANGE}})
class SourceRanges(StrictTexts):
    """Public IPv4 ranges in canonical form."""


@extend_schema_field({"type": "array", "uniqueItems": True, "items": {"type": "string", "enum": sorted({*COUNTRIES, *GROUPS})}})
class Regions(StrictTexts):
    """Countries and groups of countries."""


@extend_schema_field(
    {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True, "items": {"type": "string", "enum": list(DIGEST_ALGORITHMS)}}
)
class DigestAlgorithms(StrictTexts):
    """The algorithms that the digest challenge offers."""


@extend_schema_field({"type": "array", "maxItems": MAX_SOURCE_RANGES, "uniqueItems": True, "items": {"type": "string", "pattern": RANGE}})
class MediaRanges(StrictTexts):
    """Public IPv4 ranges in canonical form, but not all addresses."""

    def to_internal_value(self, data: Any) -> list[str]:  # type: ignore[override]  # what the column holds
        """Return the ranges; raises ValidationError with the rule that each bad one breaks."""
        ranges = super().to_internal_value(data)
        try:
            check_media_sources(ranges)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return list(ranges)


class CallbackTimeout(Seconds):
    """How long an answer is waited for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=MIN_TIMEOUT, max_value=MAX_TIMEOUT, **options)

    def to_internal_value(self, data: Any) -> float:
        """Return the seconds; raises ValidationError with the bounds."""
        seconds = super().to_internal_value(data)
        try:
            check_timeout(seconds)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return seconds


class Keepalive(WholeNumber):
    """A pause in whole seconds; 0 is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=MAX_KEEPALIVE, **options)

    def to_internal_value(self, data: Any) -> int:
        """Return the number; raises ValidationError with the bounds."""
        seconds = super().to_internal_value(data)
        try:
            check_keepalive(seconds)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return seconds


OWN_LIMIT = (
    "Null: no limit of its own. The account's limits apply to all its applications together; "
    f"a new account has {MAX_CALLS} concurrent calls and {MAX_CALLS_PER_SECOND} new calls a second."
)


class OwnLimit(WholeNumber):
    """A limit that null takes away."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=MIN_LIMIT, max_value=MAX_LIMIT, required=False, allow_null=True, help_text=OWN_LIMIT, **options)


SECURE = "Whether audio is encrypted by SRTP, with keys in the session description (SDES): only where the call came by TLS."
MASKED = "Digits of callers are sent to the application's backend, and masked in all that is stored."


class VoiceApplicationInput(StrictInput):
    """What POST and PATCH take; with PATCH a field that is not sent stays as it is and null clears it."""

    READ_ONLY = frozenset({"applicationId", "accountId", "sipUri", "sipAuthPassword"})

    applicationName = StrictText(source="name", max_length=NAME_LENGTH)
    callInitiatedCallbackUrl = CallbackUrl(source="initiated_url")
    callInitiatedMethod = serializers.ChoiceField(CallbackMethod.choices, source="initiated_method", required=False)
    callInitiatedFallbackUrl = CallbackUrl(source="initiated_fallback_url", required=False, allow_null=True)
    callInitiatedFallbackMethod = serializers.ChoiceField(CallbackMethod.choices, source="initiated_fallback_method", required=False)
    callInitiatedFallbackCreds = Credentials("fallback", required=False)
    callStatusCallbackUrl = CallbackUrl(source="status_url", required=False, allow_null=True)
    callStatusMethod = serializers.ChoiceField(CallbackMethod.choices, source="status_method", required=False)
    callbackCreds = Credentials("callback", required=False)
    callbackTimeout = CallbackTimeout(source="callback_timeout", required=False)
    maxConcurrentCalls = OwnLimit(source="max_calls")
    maxCallsPerSecond = OwnLimit(source="max_calls_per_second")
    inboundSipCallsEnabled = StrictBoolean(source="inbound_sip.enabled", required=False)
    passwordAuthEnabled = StrictBoolean(source="inbound_sip.password_auth", required=False)
    allowedSourceIps = SourceRanges(source="inbound_sip.source_ips", required=False)
    allowedRegions = Regions(source="inbound_sip.regions", required=False)
    sipDigestAlgorithms = DigestAlgorithms(source="inbound_sip.digest_algorithms", required=False)
    mediaLearning = serializers.ChoiceField(MediaLearning.choices, source="media_learning", required=False)
    mediaSourceIps = MediaRanges(source="media_source_ips", required=False)
    mediaTimeout = WholeNumber(source="media_timeout", required=False, min_value=MIN_MEDIA_TIMEOUT, max_value=MAX_MEDIA_TIMEOUT)
    keepalive = Keepalive(required=False)
    sipHeaders = StrictBoolean(source="sip_headers", required=False)
    secureMedia = serializers.ChoiceField(SecureMedia.choices, source="secure_media", required=False, help_text=SECURE)
    maskDigits = StrictBoolean(source="mask_digits", required=False, help_text=MASKED)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the model fields that the request sets, with its SIP settings as one patch."""
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
    mediaLearning = serializers.ChoiceField(MediaLearning.choices, source="media_learning")
    mediaSourceIps = serializers.ListField(source="media_source_ips", child=serializers.CharField())
    mediaTimeout = serializers.IntegerField(source="media_timeout")
    keepalive = serializers.IntegerField()
    sipHeaders = serializers.BooleanField(source="sip_headers")
    secureMedia = serializers.ChoiceField(SecureMedia.choices, source="secure_media", help_text=SECURE)
    maskDigits = serializers.BooleanField(source="mask_digits", help_text=MASKED)
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
    "mediaLearning": "strict",
    "mediaSourceIps": [],
    "mediaTimeout": 30,
    "keepalive": 25,
    "sipHeaders": False,
    "secureMedia": "optional",
    "maskDigits": False,
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

ENABLED = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True, "allowedRegions": ["US"]}
ONE = enveloped("VoiceApplicationAnswer", VoiceApplicationData())
MANY = enveloped("VoiceApplicationsAnswer", VoiceApplicationData(many=True))
IF_MATCH = header("If-Match", "The entity tag that the application was read with; another one by now is 412.")


class ListQuery(PageQuery):
    """The filters of the list."""

    applicationName = serializers.CharField(required=False, max_length=200, help_text="A part of the name, in any case.")


class DeleteQuery(serializers.Serializer[Any]):
    """The parameters of a deletion."""

    force = serializers.ChoiceField(["true", "false"], required=False, help_text="Delete it also while calls are up; they go on.")


class ApplicationResourceViewSet(AccountViewSet):
    """Voice applications, or what belongs to one of them."""

    scopes: ClassVar[dict[str, str]] = {
        "GET": "voice-applications:read",
        "POST": "voice-applications:write",
        "PATCH": "voice-applications:write",
        "DELETE": "voice-applications:write",
    }

    def application(self) -> VoiceApplication:
        """Return the application in the path; raises Http404 if the account has no such application."""
        return get_object_or_404(VoiceApplication, pk=self.kwargs["application_id"], account_id=self.kwargs["account_id"])


class VoiceApplicationViewSet(ApplicationResourceViewSet):
    """The applications of an account."""

    lookup_url_kwarg = "application_id"
    lookup_value_converter = "id"

    @operation("listVoiceApplications", tag=TAG, answers={200: MANY}, example=[EXAMPLE], query=ListQuery)
    def list(self, request: Request, account_id: str) -> Response:
        """List the account's voice applications by name."""
        query = parameters(request, ListQuery)
        rows = VoiceApplication.objects.defer(*VoiceApplication.SECRETS).filter(account_id=account_id)
        if name := query.get("applicationName"):
            rows = rows.filter(name__icontains=name)
        return answer_page(request, query, BY_NAME, rows, VoiceApplicationData)

    @operation(
        "createVoiceApplication",
        tag=TAG,
        answers={201: ONE},
        example=EXAMPLE,
        request=VoiceApplicationInput,
        request_example={"applicationName": "My Voice App", "callInitiatedCallbackUrl": "https://backend.example.com/initiate"},
        headers=[IDEMPOTENCY_KEY],
        errors=(400, 401, 403, 409, 413, 415, 429),
    )
    def create(self, request: Request, account_id: str) -> Response:
        """Create a voice application."""
        fields = valid(VoiceApplicationInput(data=request.data))
        patch = fields.pop("inbound_sip")

        def make() -> Response:
            made = applications.create(self.account, fields, patch, actor=self.actor)
            location = f"{settings.PUBLIC_URL}/v2/accounts/{account_id}/voice-applications/{made.application.pk}"
            return _answer(made, status=201, headers={"Location": location})

        return once(self.client, request, make)

    @operation("getVoiceApplication", tag=TAG, answers={200: ONE}, example=EXAMPLE, errors=(401, 403, 404, 429))
    def retrieve(self, _request: Request, account_id: str, application_id: UUID) -> Response:
        """Show a voice application; the SIP password is never part of it."""
        return _answer(Changed(self.application(), None))

    @operation(
        "updateVoiceApplication",
        tag=TAG,
        answers={200: ONE},
        example=EXAMPLE | ENABLED | {"sipAuthPassword": "HxV3m0c9Qw2Zr8TdKp5LyBn7GsJf4Ea1"},
        request=VoiceApplicationInput,
        request_example=ENABLED,
        headers=[IF_MATCH, IDEMPOTENCY_KEY],
        errors=(400, 401, 403, 404, 409, 412, 413, 415, 429),
    )
    def partial_update(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """Change the fields that are sent; null clears one, `passwordAuthEnabled: true` makes a new SIP password each time."""
        application = self.application()
        fields = valid(VoiceApplicationInput(data=request.data, partial=True))
        patch = fields.pop("inbound_sip")

        def change() -> Response:
            versions = wanted_versions(request)
            return _answer(applications.update(application, fields, patch, actor=self.actor, versions=versions))

        return once(self.client, request, change)

    @operation(
        "deleteVoiceApplication",
        tag=TAG,
        answers={204: None},
        query=DeleteQuery,
        headers=[IF_MATCH],
        errors=(400, 401, 403, 404, 409, 412, 429),
    )
    def destroy(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """Delete a voice application and its SIP URI."""
        query = parameters(request, DeleteQuery)
        force = query.get("force") == "true"
        try:
            applications.delete(self.application(), actor=self.actor, force=force, versions=wanted_versions(request))
        except CallsInProgressError as error:
            raise conflict("calls_in_progress", f"{error} Delete it with force=true to let them end by themselves.") from None
        return Response(status=204)


def _answer(changed: Changed, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return the answer that shows an application. One with a new password must not be cached."""
    private = {"Cache-Control": "no-store"} if changed.sip_password else {}
    tags = {"ETag": entity_tag(changed.application.version)}
    shown = VoiceApplicationData(changed.application, context={"sip_password": changed.sip_password})
    return ok(shown.data, status=status, headers={**tags, **private, **(headers or {})})
