"""Voice applications: list, create, read, change, delete (seed, voice-applications-api.md)."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.base import AccountViewSet
from voiceapps.api.openapi import IDEMPOTENCY_KEY, enveloped, header, operation
from voiceapps.api.resources.voice_application_fields import EXAMPLE, VoiceApplicationData, VoiceApplicationInput
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.errors import conflict
from voiceapps.api.wire.idempotency import once
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.api.wire.preconditions import changed_meanwhile, entity_tag, wanted_versions
from voiceapps.api.wire.strict import parameters, valid
from voiceapps.models import VoiceApplication
from voiceapps.services import applications
from voiceapps.services.applications import CallsInProgressError, Changed, TooManyApplicationsError, VersionConflictError

TAG = "Voice applications"
ONE = enveloped("VoiceApplicationAnswer", VoiceApplicationData())
MANY = enveloped("VoiceApplicationsAnswer", VoiceApplicationData(many=True))
IF_MATCH = header("If-Match", "The entity tag that the application was read with; another one by now is 412.")
ENABLED = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True, "allowedRegions": ["US"]}

BY_NAME = Keyset(("name", "application_id"))


class ListQuery(PageQuery):
    """What the list can be narrowed by."""

    applicationName = serializers.CharField(required=False, max_length=200, help_text="A part of the name, in any case.")


class DeleteQuery(serializers.Serializer[Any]):
    """How an application is deleted."""

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
        """Return the application in the path; raises Http404 where the account has none such."""
        return get_object_or_404(VoiceApplication, pk=self.kwargs["application_id"], account_id=self.kwargs["account_id"])


class VoiceApplicationViewSet(ApplicationResourceViewSet):
    """The applications of an account."""

    lookup_url_kwarg = "application_id"
    lookup_value_converter = "uuid"

    @operation("listVoiceApplications", tag=TAG, answers={200: MANY}, example=[EXAMPLE], query=ListQuery)
    def list(self, request: Request, account_id: str) -> Response:
        """List the account's voice applications by name."""
        query = parameters(request, ListQuery)
        rows = VoiceApplication.objects.filter(account_id=account_id)
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
            try:
                made = applications.create(self.account, fields, patch, actor=self.actor)
            except TooManyApplicationsError as error:
                raise conflict("too_many_applications", str(error)) from None
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
            try:
                versions = wanted_versions(request)
                changed = applications.update(application, fields, patch, actor=self.actor, versions=versions)
            except VersionConflictError:
                raise changed_meanwhile() from None
            return _answer(changed)

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
        except VersionConflictError:
            raise changed_meanwhile() from None
        except CallsInProgressError as error:
            raise conflict("calls_in_progress", f"{error} Delete it with force=true to let them end by themselves.") from None
        return Response(status=204)


def _answer(changed: Changed, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Show an application; a one-time password may not lie in anybody's cache."""
    private = {"Cache-Control": "no-store"} if changed.sip_password else {}
    tags = {"ETag": entity_tag(changed.application.version)}
    shown = VoiceApplicationData(changed.application, context={"sip_password": changed.sip_password})
    return ok(shown.data, status=status, headers={**tags, **private, **(headers or {})})
