"""The bounds of an operator's session: how long it may lie idle, how long it lasts at all, and what ends it before."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from voiceapps.console.access.paths import is_page
from voiceapps.services.people import operators

WRITE_SECONDS = 60
"""A session's last use is stored when the stored one is older, so not every request writes. It ends so much earlier at most."""
BEGAN, SEEN, GENERATION, PROVED = "began", "seen", "generation", "second_factor"


class OperatorSessionMiddleware:
    """End sessions that lay idle, lasted too long, or were made before a person's role, account or second factor changed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request with its session, or without if that is over; a page that polls is told that it is over."""
        # Django empties the session of a person whose password changed when it is asked who it is.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            _begin_if_new(request)
            if _is_over(request):
                logout(request)
            else:
                _touch(request)
        if is_poll(request) and not request.user.is_authenticated:
            return HttpResponse(status=401, headers={"Cache-Control": "no-store"})
        return self._get_response(request)


def is_poll(request: HttpRequest) -> bool:
    """Return whether a page asks for its live part again, without anybody at the keyboard."""
    return is_page(request) and request.method == "GET" and request.headers.get("HX-Request") == "true" and request.GET.get("live") == "1"


def begin(request: HttpRequest, user: User, *, proved: bool) -> None:
    """Log a person in; `proved` says that the second factor was asked for."""
    login(request, user)
    request.session.pop(BEGAN, None)
    request.session[PROVED] = proved
    renew(request, user)


def renew(request: HttpRequest, user: User) -> None:
    """Keep the session of a request after a change that ends the person's others."""
    request.session[GENERATION] = operators.generation_of(user)


def _begin_if_new(request: HttpRequest) -> None:
    if BEGAN not in request.session:
        now = timezone.now().timestamp()
        request.session.update({BEGAN: now, SEEN: now})
        request.session.setdefault(GENERATION, _generation(request))


def _is_over(request: HttpRequest) -> bool:
    now, session = timezone.now().timestamp(), request.session
    if now - session[BEGAN] >= settings.SESSION_COOKIE_AGE or now - session[SEEN] >= settings.CONSOLE_IDLE_MINUTES * 60:
        return True
    if session[GENERATION] != _generation(request):
        return True
    return bool(settings.CONSOLE_TOTP_REQUIRED and not session.get(PROVED))


def _touch(request: HttpRequest) -> None:
    now = timezone.now().timestamp()
    if now - request.session[SEEN] >= WRITE_SECONDS and not is_poll(request):
        request.session[SEEN] = now


def _generation(request: HttpRequest) -> int:
    row = getattr(request.user, "operator", None)
    return row.generation if row else 0
