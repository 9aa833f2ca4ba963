"""Take what a request says and nothing more: a field or parameter that does not exist is an error by its name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, cast

from rest_framework import serializers
from rest_framework.request import Request

from voiceapps.api.wire.errors import Problem, ProblemError

MAX_NAMED = 50


class StrictInput(serializers.Serializer[Any]):
    """A JSON object with these fields and no others."""

    READ_ONLY: ClassVar[Collection[str]] = ()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the values; raises ValidationError with one sentence for each bad field."""
        errors: dict[str, Any] = {}
        if isinstance(data, Mapping):
            for name in sorted(set(data) - set(self.fields))[:MAX_NAMED]:
                errors[name] = ["Read-only." if name in self.READ_ONLY else "No such field."]
        try:
            values: dict[str, Any] = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors |= cast(dict[str, Any], error.detail)
            values = {}
        if errors:
            raise serializers.ValidationError(errors)
        return values


class NoInput(StrictInput):
    """An empty body, or an object without fields."""


def valid(form: StrictInput) -> dict[str, Any]:
    """Return what a form holds; raises ValidationError."""
    form.is_valid(raise_exception=True)
    return cast(dict[str, Any], form.validated_data)


def parameters(request: Request, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """Return the query's parameters; raises ProblemError naming each that is bad, unknown or sent twice."""
    given = request.query_params
    problems = [Problem(400, "No such parameter.", source={"parameter": name}) for name in sorted(set(given) - set(kind().fields))]
    problems += [Problem(400, "Sent more than once.", source={"parameter": name}) for name in given if len(given.getlist(name)) > 1]
    form = kind(data=given.dict())
    if not form.is_valid():
        for name, texts in form.errors.items():
            problems.append(Problem(400, " ".join(str(text) for text in texts), source={"parameter": str(name)}))
    if problems:
        raise ProblemError(*problems[:MAX_NAMED])
    return cast(dict[str, Any], form.validated_data)
