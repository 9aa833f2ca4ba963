"""Read bodies up to a size, whatever media type they have."""

from __future__ import annotations

from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser


class BoundedJson(JSONParser):
    """Parse JSON of at most 64 KB; NaN and Infinity are none."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the value; raises ParseError, RequestDataTooBig."""
        check_length(parser_context["request"])
        return super().parse(stream, media_type, parser_context)


class XmlText(BaseParser):
    """Take an XML document as it is: bytes."""

    media_type = "application/xml"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the bytes; raises RequestDataTooBig."""
        check_length(parser_context["request"])
        data: bytes = stream.read()
        return data


def check_length(request: Any) -> None:
    """Refuse a body that is too long before it is read."""
    if int(request.META.get("CONTENT_LENGTH") or "0") > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise RequestDataTooBig


class AnyAccept(BaseContentNegotiation):
    """Answer in the one form there is, whatever Accept says: the official SDK asks for JSON also where audio comes (sdk-conformance.md)."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """Take the parser of the body's media type; None is 415."""
        wanted = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(self, _request: Any, renderers: Any, _format_suffix: str | None = None) -> Any:
        """Take the first renderer."""
        return renderers[0], renderers[0].media_type
