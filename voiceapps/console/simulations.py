"""Simulated calls: the bench on an application's page, and what a caller would have met."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from cryptography.fernet import InvalidToken
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.decorators import display

from voiceapps.choices import TrialState
from voiceapps.console.access.sessions import is_poll
from voiceapps.console.base import of_account, operator
from voiceapps.console.newest import NewestAdmin
from voiceapps.console.pages.fragments import fragment
from voiceapps.console.roles import Capability, may
from voiceapps.models import CallSimulation, VoiceApplication
from voiceapps.rules.trials.call_simulation import DIGITS, Script, ScriptError
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import MAX_OPEN, UNREADABLE
from voiceapps.services.trials.trial_table import TooManyOpenError
from voiceapps.templatetags.console_text import wire

PART = "console/simulation/call.html"


class ScriptForm(forms.Form):
    """What the caller does: a line for each turn, with the digits that it presses or the words that it says."""

    caller = forms.CharField(required=False)
    turns = forms.CharField(required=False, strip=False)
    hang_up_at = forms.FloatField(required=False)

    def script(self) -> Script:
        """Return the script; raises ScriptError."""
        if not self.is_valid():
            raise ScriptError("The second at which the caller hangs up must be a number.")
        turns = [_turn(line.strip()) for line in self.cleaned_data["turns"].splitlines()]
        return Script.parse({"from": self.cleaned_data["caller"], "turns": turns, "hangUpAt": self.cleaned_data["hang_up_at"]})


def _turn(line: str) -> dict[str, str]:
    return {"digits": line} if DIGITS.fullmatch(line.upper()) else {"words": line}


@admin.register(CallSimulation)
class CallSimulationAdmin(NewestAdmin):
    """The pages of simulated calls, which are kept for a day."""

    sees = Capability.TRY_OUT
    account = "account_id"
    newest = ("created_at", "simulation_id")
    ids: ClassVar[Mapping[str, str]] = {"": "pk"}
    list_display = ("created_at", "application", "progress", "what_failed")
    list_filter = ("state",)
    list_select_related = ("application",)
    # Its live part tells how far the call is: what the page below it said of that would grow old.
    exclude = (*CallSimulation.SECRETS, "state", "began_at", "ended_at", "problem")
    unread = (*CallSimulation.SECRETS, *VoiceApplication.JOINED_SECRETS)
    change_form_outer_before_template = "console/simulation.html"

    @display(description="State", label={"waiting": "warning", "running": "warning", "well": "success", "failed": "danger"})
    def progress(self, simulation: CallSimulation) -> str:
        """Return the state, and how the call ended, shown as a badge."""
        if simulation.state != TrialState.ENDED:
            return simulation.state
        return "well" if simulation.problem is None else "failed"

    @admin.display(description="Problem")
    def what_failed(self, simulation: CallSimulation) -> str:
        """Return why the call failed, cut with a way to the whole."""
        return wire(simulation.problem or "")

    def found_by(self, term: str) -> Q:
        """Return the condition that a simulation has an id, or is one of an application."""
        try:
            wanted = UUID(term)
        except ValueError:
            return Q(pk__in=[])
        return Q(pk=wanted) | Q(application=wanted)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page with the transcript; it lives until the call has ended."""
        simulation = self.get_object(request, unquote(object_id))
        is_open = simulation is not None and simulation.state != TrialState.ENDED
        if simulation is not None and is_poll(request) and self.has_view_permission(request, simulation):
            return fragment(request, PART, {"original": simulation, **_story(simulation)}, has_ended=not is_open)
        context = {**_story(simulation), "is_open": is_open, "part": PART, "now": timezone.now(), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with that of the bench."""
        own = [path("order/<uuid:application_id>/", self.admin_site.admin_view(self.order), name="voiceapps_simulate_call")]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def order(self, request: HttpRequest, application_id: object) -> HttpResponse:
        """Have a call simulated, and go to its page."""
        if request.method != "POST" or not may(request, Capability.TRY_OUT):
            raise PermissionDenied
        application = get_object_or_404(of_account(request, VoiceApplication.objects.all(), "account_id"), pk=application_id)
        try:
            row = simulations.order(application, ScriptForm(request.POST).script(), actor=operator(request))
        except ScriptError as error:
            messages.error(request, str(error))
        except TooManyOpenError:
            messages.error(request, f"{MAX_OPEN} simulated calls of this account have not ended yet.")
        else:
            return redirect("admin:voiceapps_callsimulation_change", row.pk)
        return redirect(f"{reverse('console:app', args=[application_id])}?tab=trials")


def _story(simulation: CallSimulation | None) -> dict[str, Any]:
    if simulation is None:
        return {}
    try:
        script = json.dumps(simulations.script_of(simulation).as_json(), indent=1)
        return {"script": script, "transcript": simulations.transcript_of(simulation)}
    except InvalidToken:
        return {"unreadable": UNREADABLE}
