"""Simulated calls: the bench on an application's page, and what a caller would have met."""

from __future__ import annotations

import json
from typing import Any

from cryptography.fernet import InvalidToken
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from unfold.decorators import display

from voiceapps.choices import SimulationState
from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.models import CallSimulation, VoiceApplication
from voiceapps.rules.call_simulation import DIGITS, Script, ScriptError
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import MAX_OPEN, UNREADABLE, TooManyOpenError

REFRESH_SECONDS = 1


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
class CallSimulationAdmin(ReadOnlyAdmin):
    """The pages of simulated calls, which are kept for a day."""

    list_display = ("created_at", "application", "progress", "problem")
    list_filter = ("state",)
    list_select_related = ("application",)
    exclude = CallSimulation.SECRETS
    unread = (*CallSimulation.SECRETS, *VoiceApplication.JOINED_SECRETS)
    change_form_outer_before_template = "console/simulation.html"

    @display(description="State", label={"waiting": "warning", "running": "warning", "well": "success", "failed": "danger"})
    def progress(self, simulation: CallSimulation) -> str:
        """Return the state, and how the call ended, shown as a badge."""
        if simulation.state != SimulationState.ENDED:
            return simulation.state
        return "well" if simulation.problem is None else "failed"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page with the transcript; it looks again until the call has ended."""
        simulation = self.get_object(request, unquote(object_id))
        context = {**_story(simulation), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        if simulation is not None and simulation.state != SimulationState.ENDED:
            response["Refresh"] = str(REFRESH_SECONDS)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with that of the bench."""
        own = [path("order/<uuid:application_id>/", self.admin_site.admin_view(self.order), name="voiceapps_simulate_call")]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def order(self, request: HttpRequest, application_id: object) -> HttpResponse:
        """Have a call simulated, and go to its page."""
        if request.method != "POST" or not request.user.has_perm("voiceapps.change_voiceapplication"):
            raise PermissionDenied
        application = get_object_or_404(VoiceApplication, pk=application_id)
        try:
            row = simulations.order(application, ScriptForm(request.POST).script())
        except ScriptError as error:
            messages.error(request, str(error))
        except TooManyOpenError:
            messages.error(request, f"{MAX_OPEN} simulated calls of this account have not ended yet.")
        else:
            return redirect("admin:voiceapps_callsimulation_change", row.pk)
        return redirect("admin:voiceapps_voiceapplication_change", application_id)


def _story(simulation: CallSimulation | None) -> dict[str, Any]:
    if simulation is None:
        return {}
    try:
        script = json.dumps(simulations.script_of(simulation).as_json(), indent=1)
        return {"script": script, "transcript": simulations.transcript_of(simulation)}
    except InvalidToken:
        return {"unreadable": UNREADABLE}
