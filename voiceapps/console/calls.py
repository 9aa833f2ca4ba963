"""Calls: their SIP messages, media figures and webhooks."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.http import content_disposition_header
from unfold.decorators import display

from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.models import Call, CallEvent, MediaLeg, VoiceApplication
from voiceapps.rules import pcap
from voiceapps.selectors import call_messages, call_report

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
    """The pages of calls; that of one call shows ladder, media and webhooks."""

    list_display = ("started_at", "application", "from_uri", "source", "state", "ended", "reason", "duration")
    list_filter = ("state", "end_class", "end_reason")
    list_select_related = ("application",)
    unread = VoiceApplication.JOINED_SECRETS
    search_fields = ("call_id", "sip_call_id", "from_uri", "source_ip")
    date_hierarchy = "started_at"
    change_form_outer_before_template = "console/call.html"

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
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page with the report of the call."""
        context = {"report": call_report(object_id), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with that of the capture file."""
        own = [path("<path:call_id>/pcap/", self.admin_site.admin_view(self.capture), name="voiceapps_call_pcap")]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def capture(self, request: HttpRequest, call_id: str) -> HttpResponseBase:
        """Return the stored messages as a capture file, to operators who may see the call."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        call = get_object_or_404(Call, pk=call_id)
        response = StreamingHttpResponse(pcap.capture(call_messages(call.call_id)), content_type=pcap.CONTENT_TYPE)
        response["Content-Disposition"] = content_disposition_header(True, f"{call.call_id}.pcap")
        return response


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
