"""Where the theme's own links to calls lead: to the list of calls and to the page of each."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.console.roles import Capability
from voiceapps.models import Call

_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    """The addresses that the list of calls and its pages had in earlier releases, and that other records link to."""

    sees = Capability.SEE_CALLS
    account = "account_id"

    def changelist_view(self, request: HttpRequest, _extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Go to the list; what was searched is the filter, as an address or else as the id of a call."""
        sought = request.GET.get("q", "").strip()
        query = urlencode({"ip" if _ADDRESS.fullmatch(sought) else "id": sought} if sought else {})
        return redirect(reverse("console:calls") + (f"?{query}" if query else ""))

    def change_view(
        self, _request: HttpRequest, object_id: str, _form_url: str = "", _extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Go to the call's own page."""
        return redirect("console:call", unquote(object_id))
