"""Bans: who is kept out, why and until when; operators lift them and place their own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from voiceapps.console.base import ReadOnlyAdmin, operator
from voiceapps.models import Ban
from voiceapps.services import bans

DEFAULT_MINUTES = 60


class BanForm(forms.ModelForm):  # type: ignore[type-arg]  # the generic form exists in the stubs only
    """A source and for how long; the rules are the service's."""

    source_ip = forms.CharField(label="Source address", help_text="IPv4", widget=UnfoldAdminTextInputWidget)
    minutes = forms.IntegerField(
        initial=DEFAULT_MINUTES, min_value=1, max_value=bans.MAX_MINUTES, widget=UnfoldAdminIntegerFieldWidget, help_text="from now on"
    )

    class Meta:
        model = Ban
        fields = ("source_ip",)

    def clean(self) -> dict[str, Any]:
        """Ask the service whether it would do it."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "source_ip" in cleaned and "minutes" in cleaned:
            cleaned["source_ip"] = bans.checked(cleaned["source_ip"], cleaned["minutes"])
        return cleaned

    def validate_unique(self) -> None:
        """Take a source that is banned already: its ban is replaced."""


@admin.register(Ban)
class BanAdmin(ReadOnlyAdmin):
    """One row a source; those that are over stay for a day."""

    form = BanForm
    list_display = ("source", "why", "placed_by", "since", "until", "state")
    list_filter = ("reason",)
    search_fields = ("source_ip", "node")
    actions = ("lift",)

    @admin.display(description="Source", ordering="source_ip")
    def source(self, ban: Ban) -> str:
        """Show the address."""
        return str(ban.source_ip)

    @admin.display(description="Since", ordering="banned_at")
    def since(self, ban: Ban) -> datetime:
        """Show when it began."""
        return ban.banned_at

    @admin.display(description="Until", ordering="expires_at")
    def until(self, ban: Ban) -> datetime:
        """Show when it ends by itself."""
        return ban.expires_at

    @display(description="Reason", label={"wrong password": "danger", "flood": "warning", "operator": "info"})
    def why(self, ban: Ban) -> str:
        """Show the reason as a badge."""
        return ban.get_reason_display()

    @admin.display(description="Node", ordering="node")
    def placed_by(self, ban: Ban) -> str:
        """Show the proxy that banned it."""
        return ban.node or "console"

    @display(description="State", label={"in force": "danger", "over": "success"})
    def state(self, ban: Ban) -> str:
        """Show whether it still holds."""
        return "in force" if ban.expires_at > timezone.now() else "over"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let operators place bans; who may only look may not."""
        return request.user.has_perm("voiceapps.add_ban")

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Let operators lift bans."""
        return request.user.has_perm("voiceapps.delete_ban")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Show everything of a ban that is there; ask for address and time of a new one."""
        return () if obj is None else super().get_readonly_fields(request, obj)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Leave out what the page of a ban has no use for."""
        return ("source_ip", "minutes") if obj is None else super().get_readonly_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Ban, form: BanForm, _change: bool) -> None:
        """Place it through the service."""
        placed = bans.place(form.cleaned_data["source_ip"], form.cleaned_data["minutes"], actor=operator(request))
        obj.__dict__.update(placed.__dict__)

    @action(description="Lift", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Ban]) -> None:
        """End the chosen bans at once."""
        for ban in queryset:
            bans.lift(ban, actor=operator(request))
        messages.success(request, "Lifted: every proxy hears of it within two seconds.")
