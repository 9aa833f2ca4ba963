"""What call control's viewsets share: the account checks of the management API, and their own shape of errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from voiceapps.api.access.authentication import BASIC_CHALLENGE, BasicAuthentication, TokenAuthentication
from voiceapps.api.base import AccountViewSet
from voiceapps.api.openapi import FLAT_TYPES
from voiceapps.api.wire.errors import Problem, ProblemError
from voiceapps.api.wire.forms import StrictText
from voiceapps.choices import CallbackMethod
from voiceapps.models.applications import CREDENTIAL_LENGTH

CALLS_TAG = "Calls"
MAX_TAG = 4096
MAX_URI = 1024


def flat(problems: Sequence[Problem]) -> dict[str, object]:
    """Return the first problem in the shape of Programmable Voice, which names a bad field or parameter in its sentence."""
    problem = problems[0]
    name = next(iter(problem.source.values()), "")
    description = f"Invalid {name}: {problem.description}" if name else problem.description
    return {"type": FLAT_TYPES.get(problem.status, "error"), "description": description, "id": str(problem.id)}


class SpanQuery(serializers.Serializer[Any]):
    """What calls and recordings can be narrowed by: who called whom, and when."""

    to = serializers.CharField(required=False, max_length=MAX_URI, help_text="The URI that was called, all of it.")
    locals()["from"] = serializers.CharField(required=False, max_length=MAX_URI, help_text="The caller's URI, all of it.")  # a keyword
    minStartTime = serializers.DateTimeField(required=False, help_text="Started then or later.")


class CallControlViewSet(AccountViewSet):
    """Calls or recordings."""

    authentication_classes = [TokenAuthentication, BasicAuthentication]  # noqa: RUF012  # DRF reads it as it is
    render_problems = staticmethod(flat)

    def get_authenticate_header(self, _request: Request) -> str:
        """Return both challenges: DRF asks the first way of authentication only."""
        return BASIC_CHALLENGE


def callback_method() -> serializers.ChoiceField:
    """Return the field of a webhook's method."""
    return serializers.ChoiceField(CallbackMethod.choices, default=CallbackMethod.POST.value)


def credential(**options: Any) -> StrictText:
    """Return a field of a webhook's user name or password."""
    return StrictText(max_length=CREDENTIAL_LENGTH, required=False, allow_blank=True, trim_whitespace=False, **options)


def not_found(kind: str, name: str) -> ProblemError:
    """Return the 404 of a call or recording that the account does not have."""
    return ProblemError(Problem(404, f"{kind} {name} not found"))
