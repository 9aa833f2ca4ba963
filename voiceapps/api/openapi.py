"""Descriptions of operations for openapi.json, each with an example of its answer and of every error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular.contrib.django_oauth_toolkit import DjangoOAuthToolkitScheme
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers

from voiceapps.api.wire.errors import TYPES, ErrorEntry

Schema = Any
Shape = Literal["envelope", "call control", "oauth"]

FORM = "application/x-www-form-urlencoded"
CLIENT_SECRET: Any = [{"clientSecret": []}, {}]
"""The security of an operation that authenticates clients, by HTTP Basic or in the body; the settings define the scheme."""

_ERROR_ID = "0a2f6d1e-6c3d-4f3c-9b0e-3d9a5c1f7a42"
_TEXTS = {
    400: "Must be true or false.",
    401: "A valid access token is required: Authorization: Bearer <token>.",
    403: "This client has no access to this account.",
    404: "No such resource in this account.",
    409: "The resource is in use.",
    412: "The resource has changed since it was read.",
    413: "A body has at most 65536 bytes.",
    416: "The file has 32044 bytes.",
    415: 'Unsupported media type "text/plain" in request.',
    429: "Request was throttled. Expected available in 7 seconds.",
    503: "The database is busy or away. Try again later.",
}


@extend_schema_field({"type": "null"})
class Null(serializers.Field):  # type: ignore[type-arg]  # it has no value
    """The data of an answer that has none."""


class Link(serializers.Serializer[Any]):
    """Where to go on."""

    href = serializers.CharField()
    rel = serializers.CharField()
    method = serializers.CharField()


class ErrorEnvelope(serializers.Serializer[Any]):
    """What every error answer of the management API looks like."""

    links = Link(many=True)
    data = Null()  # type: ignore[assignment]  # the wire's name; DRF's own `data` is a property of instances
    errors = ErrorEntry(many=True)  # type: ignore[assignment]  # likewise


class CallControlError(serializers.Serializer[Any]):
    """What every error answer of call control looks like."""

    type = serializers.CharField()
    description = serializers.CharField()
    id = serializers.CharField(allow_null=True)


class OAuthError(serializers.Serializer[Any]):
    """What every error answer of the OAuth 2.0 endpoints looks like (RFC 6749 §5.2)."""

    error = serializers.CharField()
    error_description = serializers.CharField(required=False)


def enveloped(name: str, data: Schema) -> Schema:
    """Return the schema of the envelope around `data`."""
    envelope = inline_serializer(name, {"links": Link(many=True), "data": data, "errors": ErrorEntry(many=True)})
    # Without this, drf-spectacular describes an action named `list` as an array of envelopes.
    set_override(envelope, "many", False)
    return envelope


def operation(  # noqa: PLR0913  # what an operation has
    operation_id: str,
    *,
    tag: str,
    answers: Mapping[Any, Schema],
    example: object = None,
    request: Schema = None,
    request_example: object = None,
    query: type[serializers.Serializer[Any]] | None = None,
    headers: Sequence[OpenApiParameter] = (),
    errors: Sequence[int] = (400, 401, 403, 404, 429),
    shape: Shape = "envelope",
    security: Any = None,
) -> Callable[[Any], Any]:
    """Return a decorator that describes a view's method; `example` is the answer without its envelope."""
    examples = []
    if example is not None:
        value = {"links": [], "data": example, "errors": []} if shape == "envelope" else example
        examples.append(OpenApiExample(operation_id, value=value, response_only=True, status_codes=[str(next(iter(answers)))]))
    if request_example is not None:
        kind = next(iter(request)) if isinstance(request, dict) else FORM if shape == "oauth" else "application/json"
        examples.append(OpenApiExample(f"{operation_id} request", value=request_example, request_only=True, media_type=kind))
    # What can fail at all can fail because the database is away.
    always = (503,) if errors else ()
    responses: dict[Any, Any] = {**answers, **{status: _error(status, shape) for status in (*errors, *always)}}
    return extend_schema(
        operation_id=operation_id,
        tags=[tag],
        request=request,
        responses=responses,
        parameters=[*([query] if query else []), *headers],
        examples=examples,
        auth=security,
    )


def header(name: str, text: str) -> OpenApiParameter:
    """Return the description of an optional request header."""
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text)


IDEMPOTENCY_KEY = header(
    "Idempotency-Key", "A request that comes again with the same key within 24 hours gets the same answer, without secrets."
)


# Python 3.13 changed its name of 413 from RFC 7231's to RFC 9110's; the description is the same with every Python.
_PHRASES = {413: "Request Entity Too Large", 416: "Requested Range Not Satisfiable"}


def _error(status: int, shape: Shape) -> OpenApiResponse:
    phrase = _PHRASES.get(status) or HTTPStatus(status).phrase
    if shape == "envelope":
        entry: dict[str, object] = {"id": _ERROR_ID, "type": TYPES[status], "code": str(status), "description": _TEXTS[status]}
        if status == 400:
            entry["source"] = {"field": "inboundSipCallsEnabled"}
        value: object = {"links": [], "data": None, "errors": [entry]}
        return OpenApiResponse(ErrorEnvelope, phrase, [OpenApiExample(f"{status} {phrase}", value=value, status_codes=[str(status)])])
    if shape == "oauth":
        error = {"error": OAUTH_ERRORS[status]}
        return OpenApiResponse(OAuthError, phrase, [OpenApiExample(f"{status} {phrase}", value=error, status_codes=[str(status)])])
    flat = {"type": FLAT_TYPES.get(status, "error"), "description": _TEXTS[status], "id": _ERROR_ID}
    return OpenApiResponse(CallControlError, phrase, [OpenApiExample(f"{status} {phrase}", value=flat, status_codes=[str(status)])])


FLAT_TYPES = {
    400: "validation",
    401: "authentication-error",
    403: "authorization-error",
    404: "validation",
    405: "validation",
    409: "validation",
    413: "validation",
    415: "validation",
    416: "validation",
    429: "error",
    500: "internal-error",
    503: "system-overloaded",
}
"""The `type` of call control's errors, by status."""

OAUTH_ERRORS = {400: "invalid_request", 401: "invalid_client", 413: "invalid_request", 429: "slow_down", 503: "temporarily_unavailable"}
"""The `error` of the OAuth 2.0 endpoints (RFC 6749 §5.2), by status, where nothing more exact is known."""


class TokenScheme(DjangoOAuthToolkitScheme):  # type: ignore[no-untyped-call]  # drf-spectacular ships no types
    """The security scheme of access tokens, with the scope of each operation. drf-spectacular finds the class by itself."""

    target_class = "voiceapps.api.access.authentication.TokenAuthentication"

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        """Return the scope that the view needs for the method."""
        scope = auto_schema.view.scopes.get(auto_schema.method)
        return {self.name: [scope] if scope else []}


class SecretScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular ships no types
    """The security scheme of a client's id and secret by HTTP Basic. drf-spectacular finds the class by itself."""

    target_class = "voiceapps.api.access.authentication.BasicAuthentication"
    name = "clientSecret"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        return {"type": "http", "scheme": "basic"}


def camel_case_paths(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Rename path parameters to camel case, as in `{accountId}` (a hook of drf-spectacular)."""
    paths = {}
    for path, operations in result["paths"].items():
        for described in operations.values():
            for parameter in described.get("parameters", []):
                if parameter["in"] == "path":
                    parameter["name"] = _camel(parameter["name"])
        paths[re.sub(r"\{(\w+)\}", lambda name: "{" + _camel(name[1]) + "}", path)] = operations
    return result | {"paths": paths}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
