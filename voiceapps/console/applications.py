"""Voice applications: callback settings, and the SIP URI with what a customer needs to use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from voiceapps.console.base import ConsoleAdmin, operator
from voiceapps.models import VoiceApplication
from voiceapps.rules.callback_credentials import CREDENTIALS, URL_FIELDS, twice_given
from voiceapps.rules.inbound_sip import InboundSipPatch, InvalidFields
from voiceapps.rules.media_settings import MAX_MEDIA_TIMEOUT, MIN_MEDIA_TIMEOUT, check_keepalive, check_media_sources
from voiceapps.services import applications
from voiceapps.services.applications import Changed

Value = TypeVar("Value")
SETTINGS_FIELDS = (
    "name",
    "initiated_url",
    "initiated_method",
    "initiated_fallback_url",
    "initiated_fallback_method",
    "status_url",
    "status_method",
    "callback_timeout",
    "callback_username",
    "callback_password",
    "fallback_username",
    "fallback_password",
    "max_calls",
    "max_calls_per_second",
    "media_learning",
    "media_source_ips",
    "media_timeout",
    "keepalive",
    "sip_headers",
    "secure_media",
    "mask_digits",
)


class ApplicationForm(forms.ModelForm):  # type: ignore[type-arg]  # the generic form exists in the stubs only
    """The settings but those of the SIP URI. Stored passwords are not shown, and an empty field keeps them."""

    media_timeout = forms.IntegerField(
        min_value=MIN_MEDIA_TIMEOUT,
        max_value=MAX_MEDIA_TIMEOUT,
        initial=30,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Then the caller is asked once, and without an answer the call ends.",
    )
    media_source_ips = forms.CharField(
        required=False,
        label="Media addresses",
        widget=UnfoldAdminTextInputWidget,
        help_text="Public IPv4 ranges in CIDR form from which media may come beside the SIP address; separated by blanks.",
    )

    class Meta:
        model = VoiceApplication
        fields = ("account", *SETTINGS_FIELDS)
        widgets = {  # noqa: RUF012  # Django reads it as a class attribute
            "callback_password": UnfoldAdminPasswordWidget(render_value=False),
            "fallback_password": UnfoldAdminPasswordWidget(render_value=False),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["media_source_ips"] = " ".join(self.instance.media_source_ips)

    def clean(self) -> dict[str, Any]:
        """Return the values; adds an error to each URL whose credentials are given twice."""
        values: dict[str, Any] = super().clean() or {}
        for column, sentence in twice_given({name: values.get(name) or "" for name in (*URL_FIELDS, *CREDENTIALS)}).items():
            self.add_error(column, sentence)
        return values

    def clean_keepalive(self) -> int:
        """Return the pause; raises ValidationError with its bounds."""
        seconds: int = self.cleaned_data["keepalive"]
        _check(check_keepalive, seconds)
        return seconds

    def clean_media_source_ips(self) -> list[str]:
        """Return the ranges; raises ValidationError with the rule that each bad one breaks."""
        ranges = _entries(self.cleaned_data["media_source_ips"])
        _check(check_media_sources, ranges)
        return list(ranges)

    def settings(self) -> dict[str, Any]:
        """Return the fields to store."""
        kept = {name for name in ("callback_password", "fallback_password") if not self.cleaned_data[name]}
        return {name: self.cleaned_data[name] for name in SETTINGS_FIELDS if name not in kept}


class InboundSipForm(forms.Form):
    """The settings of the SIP URI, checked by the same rules as in the API."""

    password_auth = forms.BooleanField(required=False)
    source_ips = forms.CharField(required=False)
    regions = forms.CharField(required=False)

    def patch(self, application: VoiceApplication) -> InboundSipPatch:
        """Return the change, which keeps a password that exists already."""
        wanted: bool = self.cleaned_data["password_auth"]
        return InboundSipPatch(
            enabled=True,
            password_auth=None if wanted and application.password_auth_enabled else wanted,
            source_ips=_entries(self.cleaned_data["source_ips"]),
            regions=_entries(self.cleaned_data["regions"]),
        )


@admin.register(VoiceApplication)
class VoiceApplicationAdmin(ConsoleAdmin):
    """The pages of applications: the SIP URI above, the settings below."""

    form = ApplicationForm
    list_display = ("name", "account", "inbound_sip", "sip_uri", "updated_at")
    list_filter = ("inbound_sip_enabled", "password_auth_enabled")
    unread = VoiceApplication.SECRETS
    search_fields = ("name", "application_id", "sip_alias")
    change_form_outer_before_template = "console/inbound_sip.html"

    @display(description="Inbound SIP", label={"enabled": "success", "disabled": "info"})
    def inbound_sip(self, application: VoiceApplication) -> str:
        """Return the state, shown as a badge."""
        return "enabled" if application.inbound_sip_enabled else "disabled"

    def get_readonly_fields(self, _request: HttpRequest, obj: VoiceApplication | None = None) -> Any:
        """Make the account of an existing application read-only: it never changes."""
        return () if obj is None else ("account",)

    def has_delete_permission(self, _request: HttpRequest, _obj: VoiceApplication | None = None) -> bool:
        """Return False: its calls refer to the application."""
        return False

    def save_model(self, request: HttpRequest, obj: VoiceApplication, form: ApplicationForm, change: bool) -> None:
        """Create or change the application through the services."""
        if change:
            applications.update(obj, form.settings(), InboundSipPatch(), actor=operator(request))
        else:
            made = applications.create(obj.account, form.settings(), InboundSipPatch(), actor=operator(request))
            obj.pk = made.application.pk
            obj._state.adding = False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page with the data of the panel above the form."""
        context = {"sip": _sip_facts(), "sip_error": request.session.pop("sip_error", None), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with that of the panel's buttons."""
        view = self.admin_site.admin_view(self.change_inbound_sip)
        own = [path("<path:object_id>/inbound-sip/<str:verb>/", view, name="voiceapps_inbound_sip")]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def change_inbound_sip(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Enable or change inbound SIP, rotate its password, or disable it. A new password is shown in this one answer only."""
        application = get_object_or_404(VoiceApplication, pk=object_id)
        if request.method != "POST" or not self.has_change_permission(request, application):
            raise PermissionDenied
        try:
            changed = _change(application, verb, request)
        except InvalidFields as error:
            request.session["sip_error"] = error.errors
            return redirect("admin:voiceapps_voiceapplication_change", object_id)
        if changed.sip_password is None:
            messages.success(request, "The SIP settings are changed.")
            return redirect("admin:voiceapps_voiceapplication_change", object_id)
        return self._reveal(request, changed)

    def _reveal(self, request: HttpRequest, changed: Changed) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "SIP password",
            "application": changed.application,
            "password": changed.sip_password,
            "sip": _sip_facts(),
            "back": reverse("admin:voiceapps_voiceapplication_change", args=[changed.application.pk]),
        }
        response = render(request, "console/sip_password.html", context)
        response["Cache-Control"] = "no-store"
        return response


def _change(application: VoiceApplication, verb: str, request: HttpRequest) -> Changed:
    form = InboundSipForm(request.POST)
    form.is_valid()
    patches = {"disable": InboundSipPatch(enabled=False), "rotate": InboundSipPatch(password_auth=True)}
    patch = patches.get(verb) or form.patch(application)
    return applications.update(application, {}, patch, actor=operator(request))


def _sip_facts() -> dict[str, object]:
    """Return what a customer needs to set up a SIP client."""
    return {
        "domain": settings.SIP_DOMAIN,
        "realm": settings.SIP_REALM,
        "port": settings.SIP_BIND[1],
        "rtp": "{}-{}".format(*settings.RTP_PORTS),
        "media_address": settings.MEDIA_EXTERNAL[1],
    }


def _check(rule: Callable[[Value], None], value: Value) -> None:
    try:
        rule(value)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from None


def _entries(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
