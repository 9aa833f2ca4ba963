"""Answers outside any view: unknown paths, internal errors, bodies that cannot be taken."""

from __future__ import annotations

import sys

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse

from voiceapps.api.access.endpoints import oauth_error
from voiceapps.api.callcontrol.base import flat
from voiceapps.api.wire.errors import RETRY_SECONDS, SERVICES_AWAY, Problem, UnavailableError, in_envelope


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for an unknown path with 404. Django passes `exception` by name."""
    return answer_problem(request, Problem(404, "No such path."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django refuses with 400: one for a host that is not ours."""
    wrong_host = isinstance(exception, DisallowedHost)
    return answer_problem(request, Problem(400, "The Host header names no host of this system." if wrong_host else "Bad request."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a request that raised an unexpected exception with 500, or with 503 if a service is away; the log has the details."""
    error = sys.exc_info()[1]
    if isinstance(error, SERVICES_AWAY):
        response = answer_problem(request, UnavailableError(error).problems[0])
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
    return answer_problem(request, Problem(500, "Internal server error."))


def answer_problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return a problem in the shape of the API that the path belongs to, as text outside of them."""
    if request.path.startswith("/api/v1/oauth2/"):
        return JsonResponse(oauth_error([problem]), status=problem.status)
    if request.path.startswith("/api/v2/"):
        return JsonResponse(flat([problem]), status=problem.status)
    if request.path.startswith(("/v2/", "/api/")):
        return JsonResponse(in_envelope([problem]), status=problem.status)
    return HttpResponse(f"{problem.description}\n", status=problem.status, content_type="text/plain")
