"""Path converters of ids, which are found in upper and lower case (RFC 9562 section 4)."""

from __future__ import annotations

from uuid import UUID

from django.urls import register_converter


class AnyCaseUuid:
    """A UUID."""

    regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

    def to_python(self, value: str) -> UUID:
        """Return the id."""
        return UUID(value)

    def to_url(self, value: object) -> str:
        """Return the id as answers write it."""
        return str(value)


class AnyCaseName:
    """The id of a call or recording, which we write in lower case."""

    regex = "[-a-zA-Z0-9_]+"

    def to_python(self, value: str) -> str:
        """Return the id as it is stored."""
        return value.lower()

    def to_url(self, value: str) -> str:
        """Return the id."""
        return value


def register() -> None:
    """Make the converters known as `id` and `name`."""
    register_converter(AnyCaseUuid, "id")
    register_converter(AnyCaseName, "name")
