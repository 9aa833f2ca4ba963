"""A call of our own phone to an application: placed by a button, told and played on a page."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from voiceapps.choices import TrialState
from voiceapps.console.access import once
from voiceapps.console.access.sessions import is_poll
from voiceapps.console.base import operator
from voiceapps.console.filters import SIGNS
from voiceapps.console.pages.apps.views import find
from voiceapps.console.pages.fragments import fragment
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may
from voiceapps.models import Call, PlacedCall
from voiceapps.rules.recording_files import ulaw_wav
from voiceapps.rules.trials.placed_call import Dialling, DiallingError, Outcome
from voiceapps.services.trials import placed_calls
from voiceapps.services.trials.placed_calls import MAX_OPEN, NotCallableError
from voiceapps.services.trials.trial_table import TooManyOpenError

PART = "console/pages/apps/placed/call.html"


@require_POST
@page(Capability.SEE_APPLICATIONS, Capability.TRY_OUT)
def place(request: HttpRequest, application_id: UUID) -> HttpResponse:
    """Have a call placed, and go to its page."""
    found = find(request, application_id)
    try:
        row = placed_calls.order(found.row, Dialling.parse(request.POST.dict()), actor=operator(request))
    except DiallingError as error:
        messages.error(request, str(error))
    except NotCallableError:
        messages.error(request, placed_calls.DISABLED)
    except TooManyOpenError:
        messages.error(request, f"{MAX_OPEN} calls of this account have not ended yet.")
    else:
        return redirect("console:placed_call", application_id, row.pk)
    return redirect(f"{reverse('console:app', args=[application_id])}?tab=trials")


@page(Capability.SEE_APPLICATIONS, Capability.TRY_OUT)
def placed(request: HttpRequest, application_id: UUID, placed_call_id: UUID) -> HttpResponse:
    """Return the page of a call; it lives until the call has ended."""
    found = find(request, application_id)
    context = {"head": found.head, **_story(request, _row(application_id, placed_call_id))}
    is_open = context["outcome"] is None
    if is_poll(request):
        return fragment(request, PART, context, has_ended=not is_open)
    title = f"A call to {found.head.name}"
    return show(request, "console/pages/apps/placed.html", title, **context, is_open=is_open, part=PART, now=timezone.now())


@page(Capability.SEE_APPLICATIONS, Capability.TRY_OUT)
def heard(request: HttpRequest, application_id: UUID, placed_call_id: UUID) -> HttpResponse:
    """Return what the phone heard, as a wav file."""
    find(request, application_id)
    audio = bytes(_row(application_id, placed_call_id).heard)
    if not audio:
        raise Http404("Nothing was heard.")
    return once.unstored(HttpResponse(ulaw_wav(audio), content_type="audio/wav"))


def _row(application_id: UUID, placed_call_id: UUID) -> PlacedCall:
    row: PlacedCall = get_object_or_404(PlacedCall.objects.defer("heard", "dialling"), pk=placed_call_id, application=application_id)
    return row


def _story(request: HttpRequest, row: PlacedCall) -> dict[str, object]:
    """Return what is known of a call; `outcome` is None until it has ended."""
    outcome = Outcome.load(row.outcome) if row.state == TrialState.ENDED else None
    records = Call.objects.filter(sip_call_id=row.sip_call_id).values_list("call_id", flat=True)
    return {
        "row": row,
        "outcome": outcome,
        "finding": outcome.finding if outcome else None,
        "sign": SIGNS[outcome.finding.level] if outcome else "",
        "record": records.first() if outcome and may(request, Capability.SEE_CALLS) else None,
        "may_see_refusals": may(request, Capability.SEE_REFUSALS),
    }
