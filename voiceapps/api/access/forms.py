"""OAuth's forms: UTF-8, no field twice (RFC 6749 §3.2, appendix B)."""

from __future__ import annotations

from typing import IO, Any
from urllib.parse import parse_qsl

from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from voiceapps.api.wire.errors import Problem, ProblemError

MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 20


class OAuthForm(BaseParser):
    """A parser of forms of at most `MAX_FIELDS` fields."""

    media_type = MEDIA_TYPE

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> dict[str, str]:
        """Return the fields that have a value; raises ProblemError."""
        try:
            pairs = parse_qsl(stream.read().decode(), max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError:
            raise invalid_request(f"The body is no UTF-8 form of at most {MAX_FIELDS} fields.") from None
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise invalid_request("A parameter was sent more than once.")
        return fields


def form_of(request: Request) -> dict[str, str]:
    """Return the request's form; raises ProblemError for parameters in the URL or another media type."""
    if request.query_params:
        raise invalid_request("Parameters belong into the body: a URL is logged.")
    if (request.content_type or "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise invalid_request(f"The Content-Type must be {MEDIA_TYPE}.")
    fields: dict[str, str] = dict(request.data)
    return fields


def invalid_request(description: str) -> ProblemError:
    """Return RFC 6749's 400 for a malformed request."""
    return ProblemError(Problem(400, description, type="invalid_request"))
