"""Bans: which sources are ignored, why and until when. Operators lift bans and place their own."""

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
    """A source address and the minutes of its ban, checked by the service's rules."""

    source_ip = forms.CharField(label="Source address", help_text="IPv4", widget=UnfoldAdminTextInputWidget)
    minutes = forms.IntegerField(
        initial=DEFAULT_MINUTES, min_value=1, max_value=bans.MAX_MINUTES, widget=UnfoldAdminIntegerFieldWidget, help_text="from now on"
    )

    class Meta:
        model = Ban
        fields = ("source_ip",)

    def clean(self) -> dict[str, Any]:
        """Return the fields, checked by the service; raises ValidationError."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "source_ip" in cleaned and "minutes" in cleaned:
            cleaned["source_ip"] = bans.checked(cleaned["source_ip"], cleaned["minutes"])
        return cleaned

    def validate_unique(self) -> None:
        """Accept a source that is banned already: the new ban replaces the old one."""


@admin.register(Ban)
class BanAdmin(ReadOnlyAdmin):
    """The pages of bans, one row a source. Expired bans stay for a day."""

    form = BanForm
    list_display = ("source", "why", "placed_by", "since", "until", "state")
    list_filter = ("reason",)
    search_fields = ("source_ip", "node")
    actions = ("lift",)

    @admin.display(description="Source", ordering="source_ip")
    def source(self, ban: Ban) -> str:
        """Return the address."""
        return str(ban.source_ip)

    @admin.display(description="Since", ordering="banned_at")
    def since(self, ban: Ban) -> datetime:
        """Return when the ban began."""
        return ban.banned_at

    @admin.display(description="Until", ordering="expires_at")
    def until(self, ban: Ban) -> datetime:
        """Return when the ban expires."""
        return ban.expires_at

    @display(description="Reason", label={"wrong password": "danger", "flood": "warning", "operator": "info"})
    def why(self, ban: Ban) -> str:
        """Return the reason, shown as a badge."""
        return ban.get_reason_display()

    @admin.display(description="Node", ordering="node")
    def placed_by(self, ban: Ban) -> str:
        """Return the proxy that banned the source."""
        return ban.node or "console"

    @display(description="State", label={"in force": "danger", "over": "success"})
    def state(self, ban: Ban) -> str:
        """Return whether the ban is in force, shown as a badge."""
        return "in force" if ban.is_in_force(timezone.now()) else "over"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may place bans."""
        return request.user.has_perm("voiceapps.add_ban")

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may lift bans."""
        return request.user.has_perm("voiceapps.delete_ban")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Make every field of an existing ban read-only."""
        return () if obj is None else super().get_readonly_fields(request, obj)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the fields of the form for a new ban, or every field of an existing one."""
        return ("source_ip", "minutes") if obj is None else super().get_readonly_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Ban, form: BanForm, _change: bool) -> None:
        """Place the ban through the service."""
        placed = bans.place(form.cleaned_data["source_ip"], form.cleaned_data["minutes"], actor=operator(request))
        obj.__dict__.update(placed.__dict__)

    @action(description="Lift", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Ban]) -> None:
        """Lift the chosen bans."""
        for ban in queryset:
            bans.lift(ban, actor=operator(request))
        messages.success(request, "Lifted: every proxy hears of it within two seconds.")
