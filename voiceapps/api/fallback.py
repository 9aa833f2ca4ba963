"""Answers outside any view: unknown paths and internal errors."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from voiceapps.api.callcontrol.base import flat
from voiceapps.api.wire.errors import Problem, in_envelope


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for an unknown path with 404. Django passes `exception` by name."""
    return _answer(request, Problem(404, "No such path."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a request that raised an unexpected exception with 500; the log has the details."""
    return _answer(request, Problem(500, "Internal server error."))


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    if request.path.startswith("/api/v2/"):
        return JsonResponse(flat([problem]), status=problem.status)
    if request.path.startswith(("/v2/", "/api/")):
        return JsonResponse(in_envelope([problem]), status=problem.status)
    return HttpResponse(f"{problem.description}\n", status=problem.status, content_type="text/plain")
