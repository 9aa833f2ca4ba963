"""Parsers of bodies, whose size is bounded before they are read, and content negotiation."""

from __future__ import annotations

import re
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.utils import json

from voiceapps.rules.http.charsets import decoded

MAX_DEPTH = 20
"""Levels of arrays and objects in a body."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class BoundedJson(JSONParser):
    """A parser of JSON, which refuses NaN, Infinity, lone surrogates and deep nesting.

    It is UTF-8 (RFC 8259 section 8.1), unless a byte order mark or the Content-Type names another character set.
    """

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the value; raises ParseError."""
        request = parser_context["request"]
        try:
            value = json.loads(decoded(stream.read(), (request.content_params or {}).get("charset", "")))
        except RecursionError:
            raise _too_deep() from None
        except ValueError as error:
            raise ParseError(f"JSON: {error}") from None
        _check(value)
        return value


def _check(value: Any) -> None:
    """Raise ParseError for a value that is nested too deep, or whose texts are no Unicode."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for entry in level:
            if isinstance(entry, dict):
                inner += [*entry.keys(), *entry.values()]
            elif isinstance(entry, list):
                inner += entry
            elif isinstance(entry, str) and _SURROGATE.search(entry):
                raise ParseError("JSON: a text holds half of a surrogate pair.")
        level = inner
    if level:
        raise _too_deep()


def _too_deep() -> ParseError:
    return ParseError(f"JSON: values are nested more than {MAX_DEPTH} deep.")


class XmlText(BaseParser):
    """A parser that returns the bytes of an XML document."""

    media_type = "application/xml"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the bytes."""
        data: bytes = stream.read()
        return data


class AnyAccept(BaseContentNegotiation):
    """Content negotiation that ignores Accept: the official SDK asks for JSON also when it downloads audio."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """Return the parser of the body's media type, None for an unsupported one, which becomes a 415."""
        wanted = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(self, _request: Any, renderers: Any, _format_suffix: str | None = None) -> Any:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
