"""Translate HTTP into selectors and services; no rule of the product lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.base import AccountView
from voiceapps.api.schema import ERRORS, MANY, ONE
from voiceapps.api.serializers import VoiceApplicationInput, application_data
from voiceapps.models import Recording, VoiceApplication
from voiceapps.selectors import live_nodes
from voiceapps.services import applications

ROLES = ("sipproxy", "mediarelay", "callflow", "sipdns", "worker")


def envelope(data: object, links: list[dict[str, str]] | None = None) -> dict[str, object]:
    """Wrap an answer as all answers are."""
    return {"links": links or [], "data": data, "errors": []}


class VoiceApplicationList(AccountView):
    """The applications of an account."""

    read_scope = "voice-applications:read"
    write_scope = "voice-applications:write"

    @extend_schema(operation_id="listVoiceApplications", responses={200: MANY, **ERRORS})
    def get(self, _request: Request, account_id: str) -> Response:
        """List the account's applications."""
        rows = VoiceApplication.objects.filter(account_id=account_id)
        return Response(envelope([application_data(row) for row in rows]))

    @extend_schema(operation_id="createVoiceApplication", request=VoiceApplicationInput, responses={201: ONE, **ERRORS})
    def post(self, request: Request, account_id: str) -> Response:
        """Create an application."""
        form = VoiceApplicationInput(data=request.data)
        form.is_valid(raise_exception=True)
        made = applications.create(self.account, form.model_fields(), form.inbound_sip(), actor=self.actor)
        location = f"{settings.PUBLIC_URL}/v2/accounts/{account_id}/voice-applications/{made.application.pk}"
        body = envelope(application_data(made.application, made.sip_password))
        return Response(body, status=201, headers={"Location": location, **_secret_headers(made)})


class VoiceApplicationDetail(AccountView):
    """One application."""

    read_scope = "voice-applications:read"
    write_scope = "voice-applications:write"

    @extend_schema(operation_id="getVoiceApplication", responses={200: ONE, **ERRORS})
    def get(self, _request: Request, account_id: str, application_id: UUID) -> Response:
        """Show an application; the SIP password is never part of it."""
        return Response(envelope(application_data(self._application(account_id, application_id))))

    @extend_schema(operation_id="updateVoiceApplication", request=VoiceApplicationInput, responses={200: ONE, **ERRORS})
    def patch(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """Change the fields that are sent; `passwordAuthEnabled: true` makes a new SIP password each time."""
        application = self._application(account_id, application_id)
        form = VoiceApplicationInput(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        changed = applications.update(application, form.model_fields(), form.inbound_sip(), actor=self.actor)
        return Response(envelope(application_data(changed.application, changed.sip_password)), headers=_secret_headers(changed))

    def _application(self, account_id: str, application_id: UUID) -> VoiceApplication:
        return get_object_or_404(VoiceApplication, pk=application_id, account_id=account_id)


class AnyAccept(BaseContentNegotiation):
    """Answer audio whatever Accept says: the official SDK asks for JSON everywhere (sdk-conformance.md)."""

    def select_parser(self, _request: Request, parsers: Any) -> Any:
        """Take the first parser."""
        return parsers[0]

    def select_renderer(self, _request: Request, renderers: Any, _format_suffix: str | None = None) -> Any:
        """Take the first renderer."""
        return renderers[0], renderers[0].media_type


class RecordingMedia(AccountView):
    """The audio of a recording, where `mediaUrl` of the webhooks points."""

    read_scope = "recordings:read"
    content_negotiation_class = AnyAccept

    @extend_schema(operation_id="getRecordingMedia", responses={(200, "audio/vnd.wave"): bytes})
    def get(self, _request: Request, account_id: str, call_id: str, recording_id: str) -> HttpResponseBase:
        """Download a recording."""
        recording = get_object_or_404(Recording, pk=recording_id, call_id=call_id, call__account_id=account_id)
        path = Path(recording.path)
        if not path.is_relative_to(settings.RECORDINGS_DIR) or not path.is_file():
            raise Http404
        return FileResponse(path.open("rb"), content_type="audio/vnd.wave")


def healthz(_request: HttpRequest) -> JsonResponse:
    """Say whether each role has a live process; 503 until all have."""
    roles = {role: "ok" if any(node.state == "up" for node in live_nodes(role)) else "missing" for role in ROLES}
    roles["web"] = "ok"
    healthy = all(state == "ok" for state in roles.values())
    return JsonResponse({"status": "ok" if healthy else "degraded", "roles": roles}, status=200 if healthy else 503)


def _secret_headers(changed: applications.Changed) -> dict[str, str]:
    """A one-time password may not lie in anybody's cache."""
    return {"Cache-Control": "no-store"} if changed.sip_password else {}
