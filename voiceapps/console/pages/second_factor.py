"""A person's own second factor: enrolment, recovery codes, and its end.

Enrolment is open to who is logged in, to who must have a second factor and whose password was right, and by a link of `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.cache import add_never_cache_headers

from voiceapps.console.access import once, pending, sessions
from voiceapps.console.base import acting
from voiceapps.console.base import person as logged_in
from voiceapps.console.pages.login import CodeForm, complete
from voiceapps.console.pages.shell import show
from voiceapps.services.people import factors
from voiceapps.services.people.factors import CodeError

SECRET, CODES = "second factor's secret", "recovery codes"


@dataclass(frozen=True, slots=True)
class Person:
    """Whose second factor it is, and what follows when it is enrolled."""

    user: User
    enrolled: Callable[[HttpRequest, User], None]
    is_logged_in: bool = False


def second_factor(request: HttpRequest) -> HttpResponse:
    """Show the person's second factor, or have one enrolled."""
    person = _person(request)
    if person is None:
        return redirect("admin:login")
    if factors.is_enrolled(person.user):
        return _held(request, person) if person.is_logged_in else redirect("console:login_code")
    if request.method == "POST":
        return _enrol(request, person)
    return _offer(request, person)


def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Show new recovery codes, once."""
    codes = once.take(request, CODES)
    return once.unstored(show(request, "console/pages/recovery_codes.html", "Recovery codes", codes=codes))


def enrolment_link(request: HttpRequest, token: str) -> HttpResponse:
    """Accept a link of `bootstrap`, and lead to the enrolment, by an address without the link's secret."""
    if not pending.accept_link(request, token):
        raise Http404("This link was used, or is older than 24 hours. `manage.py bootstrap` prints a new one.")
    return redirect("console:second_factor")


def change(request: HttpRequest, verb: str) -> HttpResponse:
    """Make new recovery codes, or end the second factor where it is optional; both ask for a code."""
    person = _person(request)
    if request.method != "POST" or person is None or not person.is_logged_in:
        raise PermissionDenied
    form, user = CodeForm(request.POST), person.user
    actor = acting(request, user.get_username())
    try:
        factors.verify(user, form.cleaned_data["code"] if form.is_valid() else "", actor=actor)
    except CodeError as error:
        messages.error(request, str(error))
        return redirect("console:second_factor")
    if verb == "codes":
        once.keep(request, CODES, factors.renew_recovery_codes(user, actor=actor))
        return redirect("console:recovery_codes")
    if verb != "end" or settings.CONSOLE_TOTP_REQUIRED:
        raise PermissionDenied
    factors.reset(user, actor=actor)
    sessions.renew(request, user)
    return redirect("console:second_factor")


def _person(request: HttpRequest) -> Person | None:
    linked, waiting = pending.linked_person(request), pending.person(request)
    if linked is not None:
        return Person(linked, lambda request, _user: pending.forget_link(request))
    if waiting is not None:
        leads_to = waiting[1]
        return Person(waiting[0], lambda request, user: _log_in(request, user, leads_to))
    if admin.site.has_permission(request):
        return Person(logged_in(request), _go_on, is_logged_in=True)
    return None


def _log_in(request: HttpRequest, user: User, leads_to: str) -> None:
    complete(request, user, leads_to, "enrolment", proved=True)


def _go_on(request: HttpRequest, user: User) -> None:
    request.session[sessions.PROVED] = True
    sessions.renew(request, user)


def _offer(request: HttpRequest, person: Person, error: str = "") -> HttpResponse:
    """Return the page with a secret, which stays the same until the person has enrolled it."""
    secret = once.look(request, SECRET)
    if secret is None:
        secret = factors.new_secret()
        once.keep(request, SECRET, secret)
    context = {
        "person": person.user,
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "address": factors.address_of(secret, person.user.get_username()),
        "error": error,
    }
    response = show(request, "console/pages/second_factor.html", "Second factor", **context)
    response.status_code = 400 if error else 200
    return once.unstored(response)


def _enrol(request: HttpRequest, person: Person) -> HttpResponse:
    form, secret = CodeForm(request.POST), once.look(request, SECRET)
    if secret is None or not form.is_valid():
        return _offer(request, person)
    try:
        codes = factors.enrol(person.user, secret, form.cleaned_data["code"], actor=acting(request, person.user.get_username()))
    except CodeError as error:
        return _offer(request, person, str(error))
    once.take(request, SECRET)
    person.enrolled(request, person.user)
    once.keep(request, CODES, codes)
    return redirect("console:recovery_codes")


def _held(request: HttpRequest, person: Person) -> HttpResponse:
    context = {"left": factors.recovery_codes_left(person.user), "may_end": not settings.CONSOLE_TOTP_REQUIRED}
    response = show(request, "console/pages/second_factor_held.html", "Second factor", **context)
    add_never_cache_headers(response)
    return response
