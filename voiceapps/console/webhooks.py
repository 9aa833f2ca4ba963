"""Webhooks: each request with its answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from unfold.admin import TabularInline
from unfold.decorators import display

from voiceapps.choices import DeliveryState
from voiceapps.console.base import ReadOnlyAdmin, operator
from voiceapps.models import FailingHost, WebhookAttempt, WebhookDelivery
from voiceapps.services import webhooks
from voiceapps.services.delivery import failing_hosts
from voiceapps.services.webhooks import DeliveryPendingError, NotReplayableError


class AttemptInline(TabularInline):  # type: ignore[misc]  # Unfold ships no types
    """The answers to a delivery's attempts."""

    model = WebhookAttempt
    fields = readonly_fields = ("at", "url", "status", "latency_ms", "error", "response_body")
    extra = 0
    can_delete = False

    def has_add_permission(self, _request: object, _obj: object = None) -> bool:
        """Return False: only the system adds attempts."""
        return False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """The pages of deliveries, one row an event."""

    list_display = ("created_at", "event_type", "call", "kind", "progress", "url")
    list_filter = ("event_type", "state", "synchronous")
    search_fields = ("call__call_id", "url")
    exclude = ("username", "password", "target", "host")
    unread = WebhookDelivery.SECRETS
    inlines = (AttemptInline,)
    change_form_outer_before_template = "console/delivery.html"

    @admin.display(description="Kind")
    def kind(self, delivery: WebhookDelivery) -> str:
        """Return whether the call waited for the answer."""
        return "answered with BXML" if delivery.synchronous else "status event"

    @display(description="State", label={"delivered": "success", "pending": "warning", "failed": "danger"})
    def progress(self, delivery: WebhookDelivery) -> str:
        """Return the state, shown as a badge."""
        return delivery.state

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page, with a button for deliveries that can be sent again."""
        delivery = self.get_object(request, unquote(object_id))
        useful = delivery is not None and not delivery.synchronous and delivery.state != DeliveryState.PENDING
        context = {"may_replay": useful and _may_replay(request), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with that of the button."""
        own = [path("<uuid:delivery_id>/replay/", self.admin_site.admin_view(self.replay), name="voiceapps_replay_delivery")]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def replay(self, request: HttpRequest, delivery_id: UUID) -> HttpResponse:
        """Send a delivery again and return to its page."""
        if request.method != "POST" or not _may_replay(request):
            raise PermissionDenied
        delivery = get_object_or_404(WebhookDelivery.without_secrets(), pk=delivery_id)
        try:
            webhooks.replay(delivery.pk, actor=operator(request))
        except (NotReplayableError, DeliveryPendingError) as error:
            messages.error(request, str(error))
        else:
            messages.success(request, "The webhook is sent again.")
        return redirect("admin:voiceapps_webhookdelivery_change", delivery.pk)


def _may_replay(request: HttpRequest) -> bool:
    """Return whether an operator may send a delivery again. The page itself is read-only, so its own permission is always False."""
    return request.user.has_perm("voiceapps.change_webhookdelivery")


@admin.register(FailingHost)
class FailingHostAdmin(ReadOnlyAdmin):
    """The pages of hosts that do not take webhooks, one row an account and host, until they answer."""

    list_display = ("host", "account", "pace", "failures", "since", "last_at", "error")
    search_fields = ("host", "account__account_id")

    @display(description="State", label={"left alone": "danger", "asked by one request": "warning", "fails now and then": "info"})
    def pace(self, host: FailingHost) -> str:
        """Return how it is treated, shown as a badge."""
        if host.rests_until is None:
            return "fails now and then"
        return "left alone" if failing_hosts.rests(host) else "asked by one request"
