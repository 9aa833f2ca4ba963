"""Forms, which parse requests, and the fields of forms and answers.

A form refuses fields and parameters that do not exist, by name. Input fields do not convert JSON types:
`"true"` is no boolean, `1` is no text. Output fields show times, durations and missing values in the same way in
every answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import SkipField, empty
from rest_framework.request import Request

from voiceapps.api.wire.errors import Problem, ProblemError
from voiceapps.models.applications import CREDENTIAL_LENGTH, URL_LENGTH
from voiceapps.rules import cidr
from voiceapps.rules.http.callback import check_url
from voiceapps.rules.webhook_bodies import iso_duration, iso_time

MAX_INTEGER = 2**31 - 1
MAX_NAMED = 50
"""Bad fields or parameters that one answer names."""


class StrictBoolean(serializers.BooleanField):
    """A JSON boolean."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the boolean; raises ValidationError for any other type."""
        if not isinstance(data, bool):
            raise serializers.ValidationError("Must be true or false.")
        return data


class StrictText(serializers.CharField):
    """A JSON string."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text without surrounding white space; raises ValidationError for any other type."""
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a string.")
        return super().to_internal_value(data)


class OptionalText(StrictText):
    """A text that null may clear: null is stored as the empty text."""

    def run_validation(self, data: Any = empty) -> str:
        """Return the text, the empty text for null; raises ValidationError, SkipField."""
        return cast(str, super().run_validation(data) or "")


class StrictTexts(serializers.ListField):
    """A JSON array of strings, whose values are checked by rules elsewhere."""

    child = StrictText(trim_whitespace=False, allow_blank=True)

    def to_internal_value(self, data: Any) -> tuple[str, ...]:  # type: ignore[override]  # a value type, not DRF's list
        """Return the strings; raises ValidationError with one error for the whole field."""
        if not isinstance(data, list) or any(not isinstance(entry, str) for entry in data):
            raise serializers.ValidationError("Must be an array of strings.")
        return tuple(data)


class Ipv4Text(StrictText):
    """An IPv4 address."""

    def to_internal_value(self, data: Any) -> str:
        """Return the address; raises ValidationError with the rule."""
        try:
            return cidr.parse_address(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


@extend_schema_field({"type": "string", "format": "uri", "maxLength": URL_LENGTH, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]"})
class CallbackUrl(OptionalText):
    """An absolute http or https URL."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=URL_LENGTH, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return the URL; raises ValidationError with the rule."""
        url = super().to_internal_value(data)
        try:
            check_url(url)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return url


class Seconds(serializers.FloatField):
    """A number of seconds as a JSON number."""

    def to_internal_value(self, data: Any) -> float:
        """Return the number; raises ValidationError for a boolean or a text."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise serializers.ValidationError("Must be a number of seconds.")
        return super().to_internal_value(data)


class WholeNumber(serializers.IntegerField):
    """A JSON integer, of at least 1 unless said otherwise."""

    def __init__(self, *, min_value: int = 1, max_value: int = MAX_INTEGER, **options: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        """Return the number; raises ValidationError for a boolean, a fraction or a text."""
        if isinstance(data, bool) or not isinstance(data, int):
            raise serializers.ValidationError("Must be a whole number.")
        return super().to_internal_value(data)


class StrictInput(serializers.Serializer[Any]):
    """A JSON object with the declared fields and no others."""

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


class Credentials(StrictInput):
    """Take `{userId, password}`; the password is never shown again."""

    userId = StrictText(max_length=CREDENTIAL_LENGTH)
    password = StrictText(max_length=CREDENTIAL_LENGTH, write_only=True, trim_whitespace=False)

    def __init__(self, prefix: str, **options: Any) -> None:
        # The values go into the columns `<prefix>_username` and `<prefix>_password`; null empties both.
        super().__init__(source="*", allow_null=True, **options)
        self._columns = (f"{prefix}_username", f"{prefix}_password")

    def to_internal_value(self, data: Any) -> Any:
        """Return both columns; raises ValidationError for one without the other, also in a PATCH."""
        if data is None:
            return dict.fromkeys(self._columns, "")
        if isinstance(data, dict) and "password" not in data:
            raise serializers.ValidationError({"password": ["Required together with userId."]})
        if isinstance(data, dict) and "userId" not in data:
            raise serializers.ValidationError({"userId": [self.fields["userId"].error_messages["required"]]})
        given = super().to_internal_value(data)
        return dict(zip(self._columns, (given["userId"], given["password"]), strict=True))


class Time(serializers.DateTimeField):
    """A time as in webhooks: ISO 8601 in UTC, with milliseconds and `Z`."""

    def to_representation(self, value: datetime) -> str:
        """Return the text."""
        return iso_time(value.timestamp())


class ExactTime(serializers.DateTimeField):
    """A time with microseconds."""

    def to_representation(self, value: datetime) -> str:
        """Return the text."""
        return value.isoformat()


class Duration(serializers.CharField):
    """Milliseconds, shown as an ISO 8601 duration."""

    def to_representation(self, value: int) -> str:  # type: ignore[override]  # stored as a number
        """Return the text."""
        return iso_duration(value)


class TextOrNull(serializers.CharField):
    """A text; the empty one is shown as null."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]  # null is the point
        """Return the text, None for the empty one."""
        return value or None


class NumberOrNull(serializers.IntegerField):
    """A number; 0 is shown as null."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: int) -> int | None:  # type: ignore[override]  # likewise
        """Return the number, None for 0."""
        return value or None


class ShownOnce(serializers.CharField):
    """A secret in the answer that created it, passed in the context under the name of `source`; without it the field is left out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def get_attribute(self, _instance: object) -> str:
        """Return the secret; raises SkipField if the context has none."""
        secret: str | None = self.context.get(str(self.source))
        if secret is None:
            raise SkipField
        return secret


class NoInput(StrictInput):
    """An empty body, or an object without fields."""


def valid(form: StrictInput) -> dict[str, Any]:
    """Return a form's validated values; raises ValidationError."""
    form.is_valid(raise_exception=True)
    return cast(dict[str, Any], form.validated_data)


def parameters(request: Request, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """Return the query's parameters; raises ProblemError with each that is bad, unknown or sent twice."""
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
