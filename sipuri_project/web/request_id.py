"""Give each HTTP request an id, which appears in its log lines, its answer and the audit entries that it makes."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-Id"


class RequestIdMiddleware:
    """Generate the id ourselves: one from outside could be another request's, or the same each time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request under its id."""
        request_id = str(uuid.uuid4())
        request.META["HTTP_X_REQUEST_ID"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self._get_response(request)
        response[HEADER] = request_id
        return response
