"""Webhooks: each request with its answers."""

from __future__ import annotations

from django.contrib import admin
from unfold.admin import TabularInline
from unfold.decorators import display

from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.models import WebhookAttempt, WebhookDelivery


class AttemptInline(TabularInline):  # type: ignore[misc]  # Unfold ships no types
    """What came back, attempt by attempt."""

    model = WebhookAttempt
    fields = readonly_fields = ("at", "url", "status", "latency_ms", "error", "response_body")
    extra = 0
    can_delete = False

    def has_add_permission(self, _request: object, _obj: object = None) -> bool:
        """Refuse: the system writes attempts."""
        return False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """One row an event."""

    list_display = ("created_at", "event_type", "call", "kind", "progress", "url")
    list_filter = ("event_type", "state", "synchronous")
    search_fields = ("call__call_id", "url")
    exclude = ("username", "password")
    inlines = (AttemptInline,)

    @admin.display(description="Kind")
    def kind(self, delivery: WebhookDelivery) -> str:
        """Say whether the call waited for the answer."""
        return "answered with BXML" if delivery.synchronous else "status event"

    @display(description="State", label={"delivered": "success", "pending": "warning", "failed": "danger"})
    def progress(self, delivery: WebhookDelivery) -> str:
        """Show the state as a badge."""
        return delivery.state
