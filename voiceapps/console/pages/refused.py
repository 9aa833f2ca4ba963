"""Refused attempts, explained: who was turned away, what the failed rule saw and expected, and what one click can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from voiceapps.console import filters
from voiceapps.console.base import operator
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.models import VoiceApplication
from voiceapps.reads.refusal_report import MAX_LOOKED_AT, RefusalGroup, Wanted, hidden, refusals
from voiceapps.rules.admission import Reason
from voiceapps.rules.cidr import parse_address
from voiceapps.rules.diagnosis.refusals import EXPLANATIONS, Explanation, Refused, failed, text_for_customer
from voiceapps.rules.inbound_sip import InboundSipPatch, InvalidFields
from voiceapps.rules.whole_numbers import VERSION_DIGITS, whole_number
from voiceapps.services import applications, bans
from voiceapps.services.applications import VersionConflictError
from voiceapps.templatetags.console_text import moment

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
DEFAULT_SPAN = "24h"
BAN_MINUTES = 60
FILTERS = ("since", "reason", "app", "ip")


@dataclass(frozen=True, slots=True)
class Row:
    """One group as the page shows it."""

    group: RefusalGroup
    explanation: Explanation
    seen: str
    expected: str
    text: str
    """For the customer."""
    may_allow: bool


@page(Capability.SEE_REFUSALS)
def refused(request: HttpRequest) -> HttpResponse:
    """Return the groups; `since`, `reason`, `app` and `ip` of the query say which."""
    personal = may(request, Capability.SEE_PERSONAL)
    if request.GET.get("ip") and not personal:
        raise PermissionDenied
    wanted, errors = _wanted(request.GET, scope(request), timezone.now())
    found = refusals(wanted)
    return show(
        request,
        "console/pages/refused.html",
        "Refused attempts",
        rows=[_row(request, group if personal else hidden(group)) for group in found.groups],
        personal=personal,
        found=found,
        most=MAX_LOOKED_AT,
        filter_form=filters.refused_form(request.GET.dict(), errors, tuple(SPANS), DEFAULT_SPAN, sees_personal=personal),
        link=request.GET.urlencode(),
        may_ban=personal and may(request, Capability.PLACE_BANS),
        may_try=personal and may(request, Capability.TRY_OUT),
        ban_minutes=BAN_MINUTES,
        sip_domain=settings.SIP_DOMAIN,
        sip_port=settings.SIP_BIND[1],
    )


@require_POST
@page(Capability.SEE_REFUSALS, Capability.CHANGE_APPLICATIONS)
def allow(request: HttpRequest) -> HttpResponse:
    """Add one address to the list of an application, if that has not changed since the page was shown, and return to the list."""
    own = {} if scope(request) is None else {"account": scope(request)}
    application = get_object_or_404(VoiceApplication.objects.defer(*VoiceApplication.SECRETS), pk=_uuid(request.POST.get("app", "")), **own)
    address = f"{request.POST.get('ip', '')}/32"
    version = whole_number(request.POST.get("version", ""), VERSION_DIGITS)
    versions = [] if version is None else [version]
    patch = InboundSipPatch(source_ips=(*application.allowed_source_ips, address))
    try:
        applications.update(application, {}, patch, actor=operator(request), versions=versions)
    except InvalidFields as error:
        messages.error(request, str(error))
    except VersionConflictError:
        messages.error(request, f"{application.name} has changed meanwhile. Look again: the list may have the address already.")
    else:
        messages.success(request, f"{application.name} now takes calls from {address}.")
    return _back(request)


@require_POST
@page(Capability.SEE_REFUSALS, Capability.PLACE_BANS)
def ban(request: HttpRequest) -> HttpResponse:
    """Ban a source for an hour, and return to the list."""
    try:
        placed = bans.place(request.POST.get("ip", ""), BAN_MINUTES, actor=operator(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"{placed.source_ip} is banned for {BAN_MINUTES} minutes. Every proxy hears of it within two seconds.")
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the list as it was filtered."""
    kept = QueryDict(request.POST.get("back", ""), mutable=True)
    for name in set(kept) - set(FILTERS):
        del kept[name]
    return redirect(f"{reverse('console:refused')}?{kept.urlencode()}")


def _wanted(query: QueryDict, account_id: str | None, now: datetime) -> tuple[Wanted, dict[str, str]]:
    """Return what is asked for, and a sentence for each field that cannot be read; such a field filters nothing."""
    errors: dict[str, str] = {}
    span, reason, application, address = (query.get(name, "").strip() for name in FILTERS)
    if span and span not in SPANS:
        errors["since"] = f"Choose one of {', '.join(SPANS)}."
    if reason and reason not in set(Reason):
        errors["reason"] = "There is no such reason."
    if application and _uuid(application) is None:
        errors["app"] = "Write an application's id, such as 15f99d57-f823-4718-80cc-5d95d5b83e59."
    try:
        address = parse_address(address) if address else ""
    except ValueError as error:
        errors["ip"] = str(error)
    since = now - SPANS.get(span, SPANS[DEFAULT_SPAN])
    values = {"reason": reason, "app": application, "ip": address}
    good = {name: "" if name in errors else value for name, value in values.items()}
    return Wanted(since, account_id, _uuid(good["app"]), good["reason"], good["ip"]), errors


def _row(request: HttpRequest, group: RefusalGroup) -> Row:
    seen, expected = failed(group.trace)
    text = text_for_customer(
        Refused(
            reason=group.reason,
            status=group.status,
            count=group.count,
            source_ip=group.source_ip,
            uri=group.sip_uri,
            first=moment(group.first_at),
            last=moment(group.last_at),
            seen=seen,
            expected=expected,
        )
    )
    asks = Capability.CHANGE_APPLICATIONS, Capability.SEE_PERSONAL
    may_allow = group.reason is Reason.IP_NOT_ALLOWED and bool(group.source_ip) and all(may(request, one) for one in asks)
    return Row(group, EXPLANATIONS[group.reason], seen, expected, text, may_allow)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
