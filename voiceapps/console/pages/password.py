"""The page on which operators change their own password."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpResponse
from django.urls import reverse_lazy
from unfold.forms import AdminOwnPasswordChangeForm

from voiceapps.console.base import operator, person
from voiceapps.services.people import operators


class PasswordPage(PasswordChangeView):
    """The theme's page; the change is audited, and ends the person's other sessions."""

    form_class = AdminOwnPasswordChangeForm
    template_name = "registration/password_change_form.html"
    success_url = reverse_lazy("admin:password_change_done")

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """Return what the theme's page needs."""
        return {**super().get_context_data(**context), **admin.site.each_context(self.request), "title": "Change your password"}

    def form_valid(self, form: Any) -> HttpResponse:
        """Store the password."""
        response = super().form_valid(form)
        operators.password_changed(person(self.request), actor=operator(self.request))
        return response
