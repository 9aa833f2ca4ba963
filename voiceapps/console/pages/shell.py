"""What all task pages have in common: the operator's capability is asked, and the theme's frame is drawn around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from voiceapps.console.roles import Capability, may
from voiceapps.rules.diagnosis.visible import visible_line

Given = ParamSpec("Given")
View = Callable[Concatenate[HttpRequest, Given], HttpResponseBase]


def page(*needed: Capability) -> Callable[[View[Given]], View[Given]]:
    """Have a view answer only operators with all of these capabilities: others log in, or are told that they may not."""

    def with_capability(view: View[Given]) -> View[Given]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: Given.args, **options: Given.kwargs) -> HttpResponseBase:
            if not all(may(request, capability) for capability in needed):
                raise PermissionDenied
            return view(request, *args, **options)

        return admin.site.admin_view(guarded)

    return with_capability


FRAME, ALONE = "admin/base_site.html", "unfold/layouts/unauthenticated.html"
"""The theme's frame, and the one for people who are not logged in, which has no side bar."""


def show(request: HttpRequest, template: str, title: str, **context: object) -> HttpResponse:
    """Return a page within the theme's frame."""
    frame = FRAME if admin.site.has_permission(request) else ALONE
    return render(request, template, {**admin.site.each_context(request), "title": visible_line(title), "frame": frame, **context})
