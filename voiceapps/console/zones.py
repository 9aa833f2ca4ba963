"""The zone in which the console shows times, and reads those that are typed without one: each browser's own choice, in a cookie."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from voiceapps.console.access.paths import PAGES, is_page
from voiceapps.console.pages.shell import page, show

UTC = "UTC"
UTC_NAMES = frozenset({UTC, "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu"})
COOKIE = "sipuri_zone"
COOKIE_SECONDS = 365 * 24 * 3600
_LOCALTIME = Path("/etc/localtime")


@cache
def _zones() -> frozenset[str]:
    """Return the zones that browsers know, too: `localtime` is what this machine calls its own."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


class ShownZone(ZoneInfo):
    """A zone whose times are marked by their offset: an abbreviation such as CST belongs to several zones."""

    def tzname(self, when: datetime | None) -> str | None:
        """Return `UTC` or an offset such as `+01:00`; None without a time."""
        if self.key in UTC_NAMES:
            return UTC
        return None if when is None else _offset(self.utcoffset(when))


class ZoneMiddleware:
    """Answer requests for the console's pages in the browser's zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request; a zone that nobody knows is UTC."""
        name = request.COOKIES.get(COOKIE, UTC)
        if not is_page(request) or name not in _zones():
            return self._get_response(request)
        with timezone.override(ShownZone(name)):
            return self._get_response(request)


@page()
def zone(request: HttpRequest) -> HttpResponseBase:
    """Return the page that asks for the zone; a choice is kept, and leads back to where the operator came from."""
    name = request.POST.get("zone", "").strip()
    back = _inside(request, request.POST.get("back") or request.GET.get("back", ""))
    if name in _zones():
        response = redirect(back)
        response.set_cookie(COOKIE, name, COOKIE_SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax")
        return response
    error = f"There is no zone {name[:64]!r}. Write one as Europe/Berlin." if request.method == "POST" else ""
    known = sorted(_zones())
    return show(
        request,
        "console/zone.html",
        "Time zone",
        back=back,
        typed=name[:64],
        error=error,
        known=known,
        server=server_zone(),
        now=timezone.now(),
    )


@cache
def server_zone(link: Path = _LOCALTIME) -> str:
    """Return the zone that the server's clock on the wall shows, as far as it says so."""
    name = str(link.resolve()).partition("zoneinfo/")[2]
    return name if name in _zones() - UTC_NAMES else UTC


def _inside(request: HttpRequest, back: str) -> str:
    """Return a page of the console: the one that is asked for, or else the overview."""
    is_ours = back.startswith(PAGES) and url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return back if is_ours else PAGES


def _offset(ahead: timedelta | None) -> str:
    minutes = round((ahead or timedelta()).total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
