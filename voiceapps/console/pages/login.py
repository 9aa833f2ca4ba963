"""The login: name and password first, then the second factor of those who have one."""

from __future__ import annotations

import time
from threading import BoundedSemaphore
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from unfold.forms import AuthenticationForm

from voiceapps.console.access import pending, sessions
from voiceapps.console.base import acting
from voiceapps.services.people import factors, logins, operators
from voiceapps.services.people.factors import CodeError

MAX_DELAYED = 2
"""Logins that wait at once. Each holds one of the web role's threads, so that many more at once are judged without delay."""
_delays = BoundedSemaphore(MAX_DELAYED)


class LockedError(forms.ValidationError):
    """The source may not try now."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"Too many failed logins. Try again in {-(-seconds // 60)} minutes.", code="locked")


class GuardedForm(AuthenticationForm):  # type: ignore[misc]  # Unfold ships no types
    """Name and password, which are looked at unless the source has failed too often."""

    locked_for = 0

    def clean(self) -> Any:
        """Return the fields of somebody who may log in; raises ValidationError."""
        name, source = self.cleaned_data.get("username", ""), self.request.META.get("REMOTE_ADDR", "")
        decision = logins.begin(name, source)
        if decision.locked_for:
            self.locked_for = decision.locked_for
            raise LockedError(decision.locked_for)
        _wait(decision.delay)
        cleaned = super().clean()
        logins.succeeded(name, source)
        return cleaned


def _wait(seconds: float) -> None:
    if seconds and _delays.acquire(blocking=False):
        try:
            time.sleep(seconds)
        finally:
            _delays.release()


class LoginPage(LoginView):
    """The first step. Who has a second factor, or must have one, is not logged in by it."""

    authentication_form = GuardedForm
    template_name = "admin/login.html"

    def dispatch(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
        """Answer a request; who is logged in goes on."""
        if request.method == "GET" and admin.site.has_permission(request):
            return redirect("admin:index")
        return super().dispatch(request, *args, **options)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """Return what the theme's page needs."""
        return {**super().get_context_data(**context), **_frame(self.request, "Log in"), "app_path": self.request.get_full_path()}

    def get_default_redirect_url(self) -> str:
        """Return the console's first page."""
        return reverse("admin:index")

    def form_valid(self, form: Any) -> HttpResponse:
        """Log the person in, or lead to the second factor."""
        user, leads_to = form.get_user(), self.get_success_url()
        if factors.is_enrolled(user):
            pending.keep(self.request, user, leads_to)
            return redirect("console:login_code")
        if settings.CONSOLE_TOTP_REQUIRED:
            pending.keep(self.request, user, leads_to)
            return redirect("console:second_factor")
        return complete(self.request, user, leads_to, "password", proved=False)

    def form_invalid(self, form: Any) -> HttpResponse:
        """Return the page with the errors: 429 for a source that may not try now."""
        response = super().form_invalid(form)
        if form.locked_for:
            response.status_code = 429
            response["Retry-After"] = str(form.locked_for)
        return response


class CodeForm(forms.Form):
    """The code of an authenticator, or a recovery code."""

    code = forms.CharField(max_length=32)


@never_cache
def login_code(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor of somebody whose password was right."""
    waiting = pending.person(request)
    if waiting is None:
        return redirect("admin:login")
    user, leads_to = waiting
    if not factors.is_enrolled(user):
        return redirect("console:second_factor")
    error, status, form = "", 200, CodeForm(request.POST or None)
    if form.is_valid():
        source = request.META.get("REMOTE_ADDR", "")
        try:
            if logins.is_locked(source):
                raise CodeError("Too many failed logins from your address. Try again in 15 minutes.")
            proof = factors.verify(user, form.cleaned_data["code"], actor=acting(request, user.get_username()))
        except CodeError as failed:
            logins.wrong_code(source)
            error, status = str(failed), 400
        else:
            return complete(request, user, leads_to, proof.value, proved=True)
    return render(request, "console/pages/login_code.html", {**_frame(request, "Second factor"), "error": error}, status=status)


def complete(request: HttpRequest, user: User, leads_to: str, proof: str, *, proved: bool) -> HttpResponse:
    """Log a person in who has proved enough, and go on."""
    pending.forget(request)
    sessions.begin(request, user, proved=proved)
    operators.logged_in(user, proof, actor=acting(request, user.get_username()))
    safe = url_has_allowed_host_and_scheme(leads_to, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(leads_to if safe else reverse("admin:index"))


def _frame(request: HttpRequest, title: str) -> dict[str, Any]:
    return {**admin.site.each_context(request), "title": title, "subtitle": None, REDIRECT_FIELD_NAME: reverse("admin:index")}
