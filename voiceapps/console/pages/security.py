"""Who attacks: sources by what was refused to them, bans, and the ranges that are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from voiceapps.console.base import operator
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may
from voiceapps.models import Ban, TrustedRange
from voiceapps.reads.refusal_report import SourceLine, refused_sources
from voiceapps.rules.cidr import contains
from voiceapps.rules.diagnosis.suspicion import Suspicion, judge
from voiceapps.rules.whole_numbers import whole_number
from voiceapps.services import bans

SINCE = timedelta(hours=24)
MAX_SOURCES = 50
MAX_BANS_SHOWN = 200
DEFAULT_MINUTES = 60
MINUTES_DIGITS = 8
SIGNS = {"scanner": ("cancel", "bad"), "suspect": ("warning", "doubtful"), "stranger": ("help", "good")}


@dataclass(frozen=True, slots=True)
class Row:
    """One source as the page shows it."""

    line: SourceLine
    suspicion: Suspicion
    sign: str
    level: str
    state: str
    """`banned`, `trusted` or empty."""


@page(Capability.SEE_BANS)
def security(request: HttpRequest) -> HttpResponse:
    """Return the page."""
    return _shown(request)


@require_POST
@page(Capability.SEE_BANS, Capability.PLACE_BANS)
def ban(request: HttpRequest) -> HttpResponse:
    """Ban a source for some minutes; what cannot be taken is shown again with the rule beside its field."""
    number = whole_number(request.POST.get("minutes", ""), MINUTES_DIGITS) or 0
    try:
        placed = bans.place(request.POST.get("source_ip", "").strip(), number, actor=operator(request))
    except ValidationError as error:
        return _shown(request, error.message_dict)
    messages.success(request, f"{placed.source_ip} is banned for {number} minutes. Every proxy hears of it within two seconds.")
    return redirect("console:security")


@require_POST
@page(Capability.SEE_BANS, Capability.LIFT_BANS)
def lift(request: HttpRequest) -> HttpResponse:
    """Lift a ban."""
    held = get_object_or_404(Ban, pk=request.POST.get("source_ip", ""))
    bans.lift(held, actor=operator(request))
    messages.success(request, f"The ban of {held.source_ip} is lifted. Every proxy hears of it within two seconds.")
    return redirect("console:security")


@require_POST
@page(Capability.SEE_BANS, Capability.PLACE_BANS)
def trust(request: HttpRequest) -> HttpResponse:
    """Trust a range; what cannot be taken is shown again with the rule beside its field."""
    try:
        row = bans.trust(request.POST.get("network", ""), request.POST.get("note", "").strip(), actor=operator(request))
    except ValidationError as error:
        return _shown(request, error.message_dict)
    messages.success(request, f"{row.network} is trusted: it is neither limited nor banned.")
    return redirect("console:security")


@require_POST
@page(Capability.SEE_BANS, Capability.PLACE_BANS)
def distrust(request: HttpRequest) -> HttpResponse:
    """Trust a range no longer."""
    row = get_object_or_404(TrustedRange, pk=request.POST.get("network", ""))
    bans.distrust(row, actor=operator(request))
    messages.success(request, f"{row.network} is trusted no longer.")
    return redirect("console:security")


def _shown(request: HttpRequest, errors: dict[str, list[str]] | None = None) -> HttpResponse:
    """Return the page, with a sentence for each field of a form that could not be taken."""
    now = timezone.now()
    held = list(Ban.in_force(now).order_by("-banned_at")[:MAX_BANS_SHOWN])
    trusted = list(TrustedRange.objects.all())
    ranges = (*settings.GUARD_TRUSTED, *(row.network for row in trusted))
    sources = refused_sources(now - SINCE)
    return show(
        request,
        "console/pages/security.html",
        "Security",
        rows=_rows(sources, {row.source_ip for row in held}, ranges),
        further=max(0, len(sources) - MAX_SOURCES),
        bans=held,
        trusted=trusted,
        fixed=settings.GUARD_TRUSTED,
        given=request.POST,
        errors=errors or {},
        default_minutes=DEFAULT_MINUTES,
        may_ban=may(request, Capability.PLACE_BANS),
        may_lift=may(request, Capability.LIFT_BANS),
    )


def _rows(lines: tuple[SourceLine, ...], banned: set[str], trusted: tuple[str, ...]) -> list[Row]:
    """Return the sources that are shown, the one with the highest score first."""
    judged = [(judge(line.counts, line.agents, line.applications), line) for line in lines]
    judged.sort(key=lambda pair: (pair[0].score, pair[1].last_at), reverse=True)
    return [_row(line, suspicion, banned, trusted) for suspicion, line in judged[:MAX_SOURCES]]


def _row(line: SourceLine, suspicion: Suspicion, banned: set[str], trusted: tuple[str, ...]) -> Row:
    state = "banned" if line.source_ip in banned else "trusted" if contains(trusted, line.source_ip) else ""
    return Row(line, suspicion, *SIGNS[suspicion.word], state)
