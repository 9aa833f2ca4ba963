"""Answer what reaches no view: paths that do not exist, and faults of our own."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from voiceapps.api.callcontrol.base import flat
from voiceapps.api.wire.errors import Problem, in_envelope


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that does not exist; Django names `exception` itself."""
    return _answer(request, Problem(404, "No such path."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer when the fault is ours; the log has the details."""
    return _answer(request, Problem(500, "Internal server error."))


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    if request.path.startswith("/api/v2/"):
        return JsonResponse(flat([problem]), status=problem.status)
    if request.path.startswith(("/v2/", "/api/")):
        return JsonResponse(in_envelope([problem]), status=problem.status)
    return HttpResponse(f"{problem.description}\n", status=problem.status, content_type="text/plain")
