"""The calls that are up, and the order that ends one of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from voiceapps.choices import CallState
from voiceapps.console.access.sessions import is_poll
from voiceapps.console.base import operator
from voiceapps.console.pages.fragments import fragment
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.models import VoiceApplication
from voiceapps.reads.live_calls import MAX_CALLS, LiveCall, Side, live_call, live_calls
from voiceapps.rules.diagnosis.personal import short_address, short_uri
from voiceapps.rules.diagnosis.verdicts import POOR_MOS
from voiceapps.rules.diagnosis.visible import visible_line
from voiceapps.services import call_orders

LIVE = "console/pages/live/calls.html"
MAX_SPOKEN = 60
MAX_KEPT_ROWS = 5 * MAX_CALLS
"""Written lines that are kept: those of a few operators who see different calls, or different parts of them."""
FAIR_MOS = 3.6
"""Below it many users are dissatisfied (ITU-T G.107 annex B)."""
FAIR_LOSS, POOR_LOSS = 0.01, 0.05


@dataclass(frozen=True, slots=True)
class Quality:
    """How one side sounds, in a word."""

    word: str
    sign: str
    detail: str


@dataclass(frozen=True, slots=True)
class Line:
    """A call as it is shown to one operator."""

    call: LiveCall
    from_uri: str
    source: str
    since: str
    """When it was answered, or began to ring: seconds since the epoch, as they are, without the separators of a language."""
    is_answered: bool
    quality: Quality | None
    """Of the worse side; None as long as no relay has reported."""

    @property
    def node(self) -> str:
        """Who holds it: its call-flow node or, until one is known, its proxy."""
        return self.call.callflow_node or self.call.proxy_node

    @property
    def spoken(self) -> str:
        """The caller, as a label that is read out."""
        return visible_line(self.from_uri)[:MAX_SPOKEN]


@page(Capability.SEE_CALLS)
def live(request: HttpRequest) -> HttpResponse:
    """Return the list."""
    found = live_calls(scope(request))
    whole, may_end = may(request, Capability.SEE_PERSONAL), may(request, Capability.END_CALLS)
    zone = timezone.get_current_timezone_name()
    rows = [_row(call, zone, whole, may_end) for call in found.shown]
    context = {"now": timezone.now(), "rows": rows, "total": found.total, "further": found.total - len(rows), "may_end": may_end}
    if is_poll(request):
        return fragment(request, LIVE, context)
    return show(request, "console/pages/live.html", "Live calls", part=LIVE, **_example(request), **context)


@page(Capability.SEE_CALLS, Capability.END_CALLS)
def end(request: HttpRequest, call_id: str) -> HttpResponse:
    """Ask whether a call is to be ended, and end it."""
    found = live_call(call_id, scope(request))
    if found is None:
        messages.info(request, "The call is over already.")
        return redirect("console:live")
    if request.method != "POST":
        return show(request, "console/pages/live/end.html", "End a call", line=_line(found, whole=may(request, Capability.SEE_PERSONAL)))
    try:
        call_orders.end(call_id, account_id=found.account_id, actor=operator(request))
    except call_orders.CallOverError:
        messages.info(request, "The call was over already.")
    except call_orders.NodeSilentError:
        messages.error(request, f"{found.callflow_node or found.proxy_node} does not answer: the call goes on.")
    else:
        messages.success(request, "The call is ended.")
    return redirect("console:live")


@lru_cache(maxsize=MAX_KEPT_ROWS)
def _row(call: LiveCall, _zone: str, whole: bool, may_end: bool) -> SafeString:  # noqa: FBT001  # names of arguments make the look-up dearer
    """Return a call as a line of HTML, its times in the zone of the request.

    Most are what they were at the last poll, and to write all of them takes longer than the query.
    """
    return render_to_string("console/pages/live/call.html", {"line": _line(call, whole=whole), "may_end": may_end})


def _line(call: LiveCall, *, whole: bool) -> Line:
    """Return a call as it is shown; numbers and addresses are short unless they are to be whole."""
    return Line(
        call=call,
        from_uri=call.from_uri if whole else short_uri(call.from_uri),
        source=call.source_ip if whole else short_address(call.source_ip),
        since=f"{(call.answered_at or call.started_at).timestamp():.0f}",
        is_answered=call.state == CallState.ANSWERED,
        quality=_quality(call),
    )


def _quality(call: LiveCall) -> Quality | None:
    sides = [("caller", call.caller), ("call flow", call.callflow)]
    judged = [_of_side(name, side) for name, side in sides if side is not None]
    return max(judged, key=lambda pair: pair[0])[1] if judged else None


def _of_side(name: str, side: Side) -> tuple[int, Quality]:
    """Return how one side sounds, and how bad that is."""
    if not side.packets_in:
        return 3, Quality("silent", "volume_off", f"nothing from the {name}")
    detail = f"{name}: {100 * side.loss:.1f} % lost" + (f", MOS {side.mos:.1f}" if side.mos is not None else "")
    if side.loss >= POOR_LOSS or (side.mos is not None and side.mos < POOR_MOS):
        return 2, Quality("poor", "signal_cellular_alt_1_bar", detail)
    if side.loss >= FAIR_LOSS or (side.mos is not None and side.mos < FAIR_MOS):
        return 1, Quality("fair", "signal_cellular_alt_2_bar", detail)
    return 0, Quality("good", "signal_cellular_alt", detail)


def _example(request: HttpRequest) -> dict[str, object]:
    """Return an application that can be called, and where, for the command that places a call."""
    account_id = scope(request)
    rows = VoiceApplication.objects.filter(inbound_sip_enabled=True).defer(*VoiceApplication.SECRETS).order_by("pk")
    target = (rows if account_id is None else rows.filter(account=account_id)).first()
    return {"target": target, "domain": settings.SIP_DOMAIN, "port": settings.SIP_BIND[1]}
