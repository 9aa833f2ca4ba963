"""Answers outside any view: pages where people look, JSON where programs ask."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse

from voiceapps.api import fallback
from voiceapps.api.wire.errors import RETRY_SECONDS, SERVICES_AWAY, Problem
from voiceapps.console.access.paths import is_page
from voiceapps.console.pages import errors


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404. Django passes `exception` by name."""
    return errors.not_found(request, exception) if is_page(request) else fallback.not_found(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return errors.forbidden(request) if is_page(request) else fallback.answer_problem(request, Problem(403, "Forbidden."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that carries no token of ours. Django passes `reason` by name."""
    return errors.forbidden(request, errors.FORGED)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 if a service is away."""
    if not is_page(request):
        return fallback.server_error(request)
    away = isinstance(sys.exc_info()[1], SERVICES_AWAY)
    response = errors.server_error(request, away=away)
    if away:
        response["Retry-After"] = str(RETRY_SECONDS)
    return response
