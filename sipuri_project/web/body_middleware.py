"""Refuse bodies that are too large or broken before any view sees the request, in the shape of the API that it was sent to."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from sipuri_project.web.requests import BAD_BODY
from voiceapps.api.fallback import answer_problem
from voiceapps.api.wire.errors import Problem


class BodyMiddleware:
    """Let through bodies of at most `DATA_UPLOAD_MAX_MEMORY_SIZE` octets; no form or document of ours is longer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request, by 400 or 413 if its body cannot be taken."""
        if request.META.get(BAD_BODY):
            return answer_problem(request, Problem(400, "The body does not end as its header fields say."))
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return answer_problem(request, Problem(413, f"A body has at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."))
        return self._get_response(request)
