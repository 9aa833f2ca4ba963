"""The list of calls: narrowed by a filter that is a link, and that an operator may give a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from voiceapps.console import filters
from voiceapps.console.base import operator, person
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.paging import call_list
from voiceapps.paging.call_list import MAX_LOOKED_AT, CallLine, CallPage
from voiceapps.reads.list_choices import ApplicationChoice, application_choices, saved_filters
from voiceapps.rules.diagnosis.call_filters import AskedCalls, read
from voiceapps.rules.diagnosis.filter_fields import says_zones
from voiceapps.services.diagnosis import saved_filters as kept

NAME = "calls"
"""What the filters of this page are kept under."""


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A row of the list."""

    call: CallLine
    sign: str
    level: str
    headline: str


@dataclass(frozen=True, slots=True)
class Example:
    """A call that an operator may place, so that there is one."""

    sip_uri: str
    proxy: str
    user: str
    """Empty where no password is asked for."""


@page(Capability.SEE_CALLS)
def calls(request: HttpRequest) -> HttpResponse:
    """Return the page of the list that the query asks for, or the form with what is wrong with it."""
    asked = allowed(request, request.GET.dict())
    if not says_zones(request.GET, asked):
        return redirect(filters.same_place(asked, request))
    sees_personal = may(request, Capability.SEE_PERSONAL)
    found: CallPage | None = None
    try:
        place, newer = filters.place(request.GET.dict())
    except ValueError as error:
        asked = replace(asked, found=None, errors={**asked.errors, "after": str(error)})
    else:
        found = call_list.page(asked.found, place, newer=newer) if asked.found else None
    applications = application_choices(scope(request))
    return show(
        request,
        "console/pages/calls.html",
        "Calls",
        asked=asked,
        filter_form=filters.calls_form(asked, applications, sees_personal=sees_personal),
        levels=filters.levels(asked),
        spans=filters.spans(asked),
        saved=saved_filters(person(request).pk, NAME),
        sees_personal=sees_personal,
        may_export=may(request, Capability.EXPORT_CALLS),
        most=MAX_LOOKED_AT,
        **(_listed(asked, found, sees_personal=sees_personal) if found else {}),
        **({"example": _example(asked, applications)} if found and not found.calls else {}),
    )


def allowed(request: HttpRequest, query: Mapping[str, str]) -> AskedCalls:
    """Return what a query asks for; raises PermissionDenied for numbers and addresses that the operator may not see."""
    bound = scope(request)
    asked = read({**query, "account": bound} if bound is not None else query, timezone.localtime())
    if asked.is_personal and not may(request, Capability.SEE_PERSONAL):
        raise PermissionDenied
    return asked


@page(Capability.SEE_CALLS)
@require_POST
def save_filter(request: HttpRequest) -> HttpResponse:
    """Keep the filter under a name, and return to the list."""
    asked = allowed(request, filters.query_of(request.POST.get("query", "")))
    try:
        if asked.found is None:
            raise ValidationError("A filter that finds nothing is not kept: see what is wrong with it.")
        kept.save(person(request).pk, NAME, request.POST.get("name", ""), asked.query(), actor=operator(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(f"{reverse('console:calls')}?{asked.query()}")


@page(Capability.SEE_CALLS)
@require_POST
def remove_filter(request: HttpRequest, filter_id: int) -> HttpResponse:
    """Forget a filter of the operator's, and return to the list."""
    kept.remove(person(request).pk, filter_id, actor=operator(request))
    return redirect("console:calls")


def _listed(asked: AskedCalls, found: CallPage, *, sees_personal: bool) -> dict[str, object]:
    """Return what the template shows of a page."""
    return {
        "found": found,
        "calls": [_shown(call if sees_personal else call_list.hidden(call)) for call in found.calls],
        "newer": asked.query(before=str(found.newer)) if found.newer else "",
        "older": asked.query(after=str(found.older)) if found.older else "",
    }


def _shown(call: CallLine) -> ShownCall:
    if call.verdict is None:
        return ShownCall(call, "help", "", "Not judged")
    return ShownCall(call, filters.SIGNS[call.verdict.level], call.verdict.level.value, call.verdict.headline)


def _example(asked: AskedCalls, applications: Sequence[ApplicationChoice]) -> Example | None:
    """Return a call to the application that is asked for, or else to the first one that takes calls; None if there is none."""
    wanted = [choice for choice in applications if asked.given.get("app", "") in ("", str(choice.application_id))]
    called = next((choice for choice in wanted if choice.sip_uri), None)
    if called is None or called.sip_uri is None:
        return None
    host, port = settings.SIP_BIND
    proxy = f"{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    return Example(called.sip_uri, proxy, str(called.application_id) if called.needs_password else "")
