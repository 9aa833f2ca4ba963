"""Errors: a problem is a value, which takes the shape of the API that it occurred in.

The management API shows problems in its envelope, one for each bad field. Call control shows the first one in the flat
shape of Programmable Voice. A view chooses its shape by `render_problems`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.core.exceptions import ObjectDoesNotExist
from django.db import InterfaceError, OperationalError
from django.http import Http404
from redis.exceptions import RedisError
from rest_framework import exceptions, serializers
from rest_framework.fields import SkipField
from rest_framework.response import Response
from rest_framework.views import exception_handler

from voiceapps.api.wire.envelope import envelope
from voiceapps.rules.inbound_sip import InvalidFields
from voiceapps.services.applications import TooManyApplicationsError, VersionConflictError
from voiceapps.services.clients import TooManyClientsError, TooManySecretsError
from voiceapps.services.webhooks import DeliveryPendingError, NotReplayableError

SourceKind = Literal["field", "parameter", "header"]

TYPES = {
    400: "invalid_parameter",
    401: "unauthorized",
    403: "forbidden",
    404: "resource_not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition_failed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "too_many_requests",
    500: "internal_server_error",
    503: "service_unavailable",
}

SERVICES_AWAY = (OperationalError, InterfaceError, RedisError)
"""What Django raises for a database, and the cache for a Redis, that cannot be used now."""
RETRY_SECONDS = 5

CONFLICTS: dict[type[Exception], str] = {
    TooManyApplicationsError: "too_many_applications",
    TooManyClientsError: "too_many_credentials",
    TooManySecretsError: "too_many_secrets",
    NotReplayableError: "not_replayable",
    DeliveryPendingError: "delivery_pending",
}
"""The exceptions of services that become a 409, each with its `type` on the wire."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error, with the field, query parameter or header that it is about."""

    status: int
    description: str
    type: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def kind(self) -> str:
        """The `type` on the wire: the problem's own, or that of its status."""
        return self.type or TYPES.get(self.status, "error")


class ErrorSource(serializers.Serializer[Any]):
    """What an error is about: one of these."""

    field = serializers.CharField(required=False)
    parameter = serializers.CharField(required=False)
    header = serializers.CharField(required=False)

    def get_attribute(self, instance: Problem) -> Any:
        """Return what the problem is about; raises SkipField if nothing is named."""
        if not instance.source:
            raise SkipField
        return instance.source


class ErrorEntry(serializers.Serializer[Any]):
    """One thing that is wrong."""

    id = serializers.UUIDField()
    type = serializers.CharField(source="kind")
    code = serializers.CharField(source="status")
    description = serializers.CharField()
    source = ErrorSource(required=False)  # type: ignore[assignment]  # the wire's name; DRF means something else by it


class ProblemError(exceptions.APIException):
    """An exception that carries problems of one status out of a view."""

    def __init__(self, *problems: Problem) -> None:
        self.status_code = problems[0].status
        self.problems = problems
        super().__init__(problems[0].description)


class UnavailableError(ProblemError):
    """The database or Redis cannot answer now: it is locked, restarting or away."""

    wait = RETRY_SECONDS  # DRF makes Retry-After of it

    def __init__(self, cause: BaseException) -> None:
        service = "cache" if isinstance(cause, RedisError) else "database"
        super().__init__(Problem(503, f"The {service} is busy or away. Try again later."))


def bad(kind: SourceKind, name: str, rule: str) -> ProblemError:
    """Return a 400 that names the bad field, parameter or header and the rule that it breaks."""
    return ProblemError(Problem(400, rule, source={kind: name}))


def conflict(kind: str, description: str) -> ProblemError:
    """Return a 409 with a `type` of its own."""
    return ProblemError(Problem(409, description, type=kind))


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an exception that is the caller's fault, in the view's shape; None for any other exception."""
    if isinstance(error, InvalidFields):
        error = exceptions.ValidationError(error.errors)
    if isinstance(error, VersionConflictError):
        error = ProblemError(Problem(412, "The resource has changed since it was read.", source={"header": "If-Match"}))
    if type(error) in CONFLICTS:
        error = conflict(CONFLICTS[type(error)], str(error))
    if isinstance(error, ObjectDoesNotExist):
        # The row existed when the request began and has been deleted since.
        error = Http404()
    if isinstance(error, SERVICES_AWAY):
        error = UnavailableError(error)
    response = exception_handler(error, context)
    if response is not None:
        for name, value in getattr(error, "headers", {}).items():
            response[name] = value
        render = getattr(context["view"], "render_problems", in_envelope)
        response.data = render(_problems(error, response))
    return response


def in_envelope(problems: Sequence[Problem]) -> dict[str, object]:
    """Return problems in the shape of the management API."""
    return envelope(None, errors=list(ErrorEntry(problems, many=True).data))


def _problems(error: Exception, response: Response) -> list[Problem]:
    if isinstance(error, ProblemError):
        return list(error.problems)
    if isinstance(error, exceptions.ValidationError):
        return [Problem(400, text, source={"field": path} if path else {}) for path, text in _flatten(response.data)]
    return [Problem(response.status_code, _description(error))]


def _description(error: Exception) -> str:
    if isinstance(error, Http404):
        return "No such resource in this account."
    return str(getattr(error, "detail", error))


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (field path, one text) for each bad field of DRF's nested errors."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, ".".join(part for part in (path, own) if part))
    elif isinstance(detail, list) and any(isinstance(inner, dict | list) for inner in detail):
        for index, inner in enumerate(detail):
            if inner:
                yield from _flatten(inner, f"{path}[{index}]")
    else:
        texts = detail if isinstance(detail, list) else [detail]
        yield path, " ".join(str(text) for text in texts)
