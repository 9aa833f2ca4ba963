"""Say what is wrong, always in the same envelope: one entry for each bad field, naming the field and the rule."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseServerError, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from voiceapps.rules.inbound_sip import InvalidFields

API_PREFIXES = ("/v2/", "/api/")

_TYPES = {
    400: "invalid_parameter",
    401: "unauthorized",
    403: "forbidden",
    404: "resource_not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}


def envelope_errors(error: Exception, context: dict[str, Any]) -> Response | None:
    """Translate any exception of a view that is the caller's fault."""
    if isinstance(error, InvalidFields):
        error = exceptions.ValidationError(error.errors)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        entries = [_entry(400, description, field) for field, description in _flatten(response.data)]
    else:
        entries = [_entry(response.status_code, _description(error))]
    response.data = {"links": [], "data": None, "errors": entries}
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that does not exist; Django names `exception` itself."""
    if request.path.startswith(API_PREFIXES):
        return JsonResponse({"links": [], "data": None, "errors": [_entry(404, "No such path.")]}, status=404)
    return HttpResponseNotFound("Not found.\n", content_type="text/plain")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer when the fault is ours; the log has the details."""
    if request.path.startswith(API_PREFIXES):
        entry = _entry(500, "Internal server error.") | {"type": "internal_server_error"}
        return JsonResponse({"links": [], "data": None, "errors": [entry]}, status=500)
    return HttpResponseServerError("Internal server error.\n", content_type="text/plain")


def _entry(status: int, description: str, field: str | None = None) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": str(uuid.uuid4()),
        "type": _TYPES.get(status, "error"),
        "code": str(status),
        "description": description,
    }
    if field:
        entry["source"] = {"field": field}
    return entry


def _description(error: Exception) -> str:
    if isinstance(error, Http404):
        return "No such resource in this account."
    return str(getattr(error, "detail", error))


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str | None, str]]:
    """Yield (field path, one text) for each bad field of DRF's nested errors."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, ".".join(part for part in (path, own) if part))
    elif isinstance(detail, list) and any(isinstance(inner, dict | list) for inner in detail):
        for index, inner in enumerate(detail):
            yield from _flatten(inner, f"{path}[{index}]")
    else:
        texts = detail if isinstance(detail, list) else [detail]
        yield path or None, " ".join(str(text) for text in texts)
