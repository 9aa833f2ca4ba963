"""The list of applications: how callers prove who they are, and what came to each in the last day."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from voiceapps.console import filters
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.models.accounts import ACCOUNT_ID
from voiceapps.reads.applications.listed import (
    MAX_LOOKED_AT,
    ApplicationLine,
    ApplicationPage,
    Place,
    Wanted,
    accounts_of,
    application_page,
)
from voiceapps.rules.diagnosis.snippets import curl_create

FILTERS = ("account", "name")
MAX_TEXT = 200
MAX_CHIPS = 3
"""Regions that a row names."""
EXAMPLE_ACCOUNT = "ACCOUNT"


@dataclass(frozen=True, slots=True)
class Row:
    """An application as the list shows it."""

    line: ApplicationLine
    chips: tuple[str, ...]
    """How callers prove who they are; empty while it takes no calls."""


@page(Capability.SEE_APPLICATIONS)
def listed(request: HttpRequest) -> HttpResponse:
    """Return a page; `account` and `name` of the query say which applications, `after` where it begins."""
    wanted, errors = _wanted(request.GET, scope(request))
    found = ApplicationPage((), None, is_cut=False) if errors else application_page(wanted, timezone.now())
    kept = QueryDict(mutable=True)
    kept.update({name: request.GET[name] for name in FILTERS if request.GET.get(name)})
    following = kept.copy()
    following["after"] = str(found.following)
    is_empty = not found.lines and not kept and not errors and wanted.after is None
    accounts = accounts_of(scope(request)) if is_empty else ()
    return show(
        request,
        "console/pages/apps/list.html",
        "Applications",
        rows=[Row(line, chips(line)) for line in found.lines],
        found=found,
        following=following.urlencode() if found.following else "",
        link=kept.urlencode(),
        is_first=wanted.after is None and not errors,
        is_empty=is_empty,
        is_bound=scope(request) is not None,
        filter_form=filters.applications_form(request.GET.dict(), errors, is_bound=scope(request) is not None),
        account=request.GET.get("account", ""),
        errors=errors,
        most=MAX_LOOKED_AT,
        may_change=may(request, Capability.CHANGE_APPLICATIONS),
        example=curl_create(settings.PUBLIC_URL, accounts[0][0] if accounts else EXAMPLE_ACCOUNT) if is_empty else "",
    )


def chips(line: ApplicationLine) -> tuple[str, ...]:
    """Return in a few words each what a caller has to prove."""
    if line.sip_uri is None:
        return ()
    password = ("password",) if line.by_password else ()
    ranges = (f"{line.ranges} range{'s' * (line.ranges != 1)}",) if line.ranges else ()
    further = len(line.regions) - MAX_CHIPS
    regions = (*line.regions[:MAX_CHIPS], *((f"{further} more regions",) if further > 0 else ()))
    return (*password, *ranges, *regions)


def _wanted(query: QueryDict, bound: str | None) -> tuple[Wanted, dict[str, str]]:
    """Return what is asked for, and a sentence for each field that cannot be read."""
    account, name = (query.get(field, "").strip()[:MAX_TEXT] for field in FILTERS)
    wanted, errors = Wanted(bound, name), {}
    if bound is None and account:
        if ACCOUNT_ID.match(account):
            wanted = replace(wanted, account_id=account)
        else:
            errors["account"] = "Write an account's id, in digits."
    try:
        wanted = replace(wanted, after=Place.parse(query.get("after", "")) if "after" in query else None)
    except ValueError as error:
        errors["after"] = str(error)
    return wanted, errors
