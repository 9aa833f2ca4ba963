"""Accounts and API clients."""

from __future__ import annotations

import base64
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken
from unfold.admin import TabularInline

from voiceapps.console.access import once
from voiceapps.console.base import ConsoleAdmin, ReadOnlyAdmin, of_account, operator
from voiceapps.console.own_changes import OwnChangesForm
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.daemon.outbound import signing_secret
from voiceapps.models import Account, ApiClient, ClientSecret
from voiceapps.services import accounts

for model in (AccessToken, Grant, IDToken, RefreshToken, ApiClient):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


LIMITS = ("max_calls", "max_calls_per_second", "max_applications")


@admin.register(Account)
class AccountAdmin(ConsoleAdmin):
    """The pages of accounts."""

    sees = Capability.SEE_ACCOUNTS
    adds = changes = Capability.CHANGE_ACCOUNTS
    account = "account_id"
    audited = ("account.", "account_id")
    form = OwnChangesForm
    list_display = ("account_id", "name", *LIMITS, "created_at")
    search_fields = ("account_id", "name")
    fields = ("account_id", "name", *LIMITS, "created_at")
    readonly_fields = ("created_at",)
    change_form_outer_before_template = "console/account.html"

    def get_readonly_fields(self, _request: HttpRequest, obj: Account | None = None) -> Any:
        """Make the id of an existing account read-only: it never changes."""
        return self.readonly_fields if obj is None else ("account_id", *self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: Account, _form: Any, _change: bool) -> None:
        """Create or rename the account and set its limits, through the services."""
        account = accounts.ensure_account(obj.account_id, actor=operator(request), name=obj.name)
        accounts.set_limits(account, actor=operator(request), **{name: getattr(obj, name) for name in LIMITS})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page, with a button that reveals the signing secret."""
        context = {"may_reveal": may(request, Capability.REVEAL), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with that of the button."""
        view = self.admin_site.admin_view(self.reveal)
        urls: list[URLPattern] = [path("<str:object_id>/reveal/", view, name="voiceapps_reveal_secret"), *super().get_urls()]
        return urls

    def reveal(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Audit that the signing secret is looked at, and lead to the page that shows it, once."""
        if request.method != "POST" or not may(request, Capability.REVEAL):
            raise PermissionDenied
        account = get_object_or_404(self.get_queryset(request), pk=object_id)
        accounts.reveal_secret(account, actor=operator(request))
        once.keep(request, _secret_of(account.pk), signing_secret_of(account.pk))
        return redirect("console:signing_secret", account.pk)


@page(Capability.REVEAL)
def signing_secret_page(request: HttpRequest, account_id: str) -> HttpResponse:
    """Show an account's signing secret, once."""
    account = get_object_or_404(of_account(request, Account.objects.all(), "account_id"), pk=account_id)
    context = {"account": account, "secret": once.take(request, _secret_of(account.pk))}
    return once.unstored(show(request, "console/signing_secret.html", "Webhook signing secret", **context))


def signing_secret_of(account_id: str) -> str:
    """Return the secret with which the customer verifies signatures (Standard Webhooks)."""
    return "whsec_" + base64.b64encode(signing_secret(settings.SIPURI_WEBHOOK_KEY, account_id)).decode()


def _secret_of(account_id: str) -> str:
    return f"signing secret of {account_id}"


class SecretInline(TabularInline):  # type: ignore[misc]  # Unfold ships no types
    """The times of a client's secrets; the secrets themselves are unknown."""

    model = ClientSecret
    fields = readonly_fields = ("created_at", "expires_at", "last_used_at")
    ordering = ("created_at",)
    extra = 0
    can_delete = False

    def has_view_permission(self, _request: HttpRequest, _obj: ApiClient | None = None) -> bool:
        """Return True: who may open the client's page sees them, too."""
        return True

    def has_add_permission(self, _request: HttpRequest, _obj: ApiClient | None = None) -> bool:
        """Return False: secrets are made by `manage.py bootstrap` and the credentials API."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: ApiClient | None = None) -> bool:
        """Return False: a secret never changes."""
        return False


@admin.register(ApiClient)
class ApiClientAdmin(ReadOnlyAdmin):
    """The pages of OAuth clients, which `manage.py bootstrap` and the credentials API create."""

    sees = Capability.SEE_CLIENTS
    account = "accounts"
    audited = ("client.", "client_id")
    list_display = ("client_id", "bound_to", "created")
    search_fields = ("client_id", "name")
    # The other columns of django-oauth-toolkit belong to grants that are not offered.
    fields = ("client_id", "name", "bound_to", "scopes", "created")
    inlines = (SecretInline,)
    view_on_site = False

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the clients, each with the ids of its accounts that the operator sees."""
        rows, bound = super().get_queryset(request), scope(request)
        held = Account.objects.all() if bound is None else Account.objects.filter(pk=bound)
        return rows.prefetch_related(Prefetch("accounts", held, to_attr="seen_accounts"))

    def get_readonly_fields(self, _request: HttpRequest, _obj: Any = None) -> Any:
        """Return every field that is shown."""
        return self.fields

    @admin.display(description="Accounts")
    def bound_to(self, client: Any) -> str:
        """Return the ids of the accounts that the client sees."""
        return ", ".join(account.pk for account in client.seen_accounts)
