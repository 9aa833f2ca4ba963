"""Read queries and forms as UTF-8, whatever a request's Content-Type says of its body.

Django reads the URL by that charset, also by codecs that make no text (`zlib`, `rot13`), and fails before any view is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Utf8Request(WSGIRequest):
    """A request whose query is UTF-8. Parsers of bodies look at the Content-Type themselves."""

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Utf8Handler(WSGIHandler):
    """Django's WSGI application for such requests."""

    request_class = Utf8Request
