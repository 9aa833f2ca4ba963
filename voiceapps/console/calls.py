"""The lists of calls, of their SIP messages and of their media figures."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.decorators import display

from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.models import Call, CallEvent, MediaLeg, VoiceApplication

_CLASS_COLOURS = {
    "success": "success",
    "client_error": "warning",
    "policy": "info",
    "server_error": "danger",
    "upstream_error": "danger",
    "network": "warning",
}


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    """The list of calls; each has a page of its own."""

    list_display = ("started_at", "application", "from_uri", "source", "state", "ended", "reason", "duration")
    list_filter = ("state", "end_class", "end_reason")
    list_select_related = ("application",)
    unread = VoiceApplication.JOINED_SECRETS
    search_fields = ("call_id", "sip_call_id", "from_uri", "source_ip")
    date_hierarchy = "started_at"

    @admin.display(description="Source")
    def source(self, call: Call) -> str:
        """Return address, port and country of the caller."""
        return f"{call.source_ip}:{call.source_port} {call.country}".strip()

    @display(description="End", label=_CLASS_COLOURS)
    def ended(self, call: Call) -> str | None:
        """Return the class of the call's end, shown as a badge."""
        return call.end_class or None

    @admin.display(description="Reason", ordering="end_reason")
    def reason(self, call: Call) -> str:
        """Return what ended the call."""
        return call.get_end_reason_display()

    @admin.display(description="Duration")
    def duration(self, call: Call) -> str:
        """Return the time between answer and end."""
        return "" if call.duration_seconds is None else f"{call.duration_seconds:.1f} s"

    def change_view(
        self, _request: HttpRequest, object_id: str, _form_url: str = "", _extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Go to the call's own page."""
        return redirect("console:call", unquote(object_id))


@admin.register(CallEvent)
class CallEventAdmin(ReadOnlyAdmin):
    """The SIP messages of all calls."""

    list_display = ("at", "call_id", "leg", "source", "destination", "first_line")
    search_fields = ("call_id",)


@admin.register(MediaLeg)
class MediaLegAdmin(ReadOnlyAdmin):
    """The media figures that relays counted."""

    list_display = (
        "at",
        "call_id",
        "leg",
        "packets_in",
        "packets_out",
        "lost",
        "jitter_ms",
        "rtt_ms",
        "mos",
        "plane",
        "observed",
        "advertised",
    )
    search_fields = ("call_id",)
