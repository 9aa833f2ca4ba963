"""Accounts, API clients and operators."""

from __future__ import annotations

import base64
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from voiceapps.console.base import ConsoleAdmin, ReadOnlyAdmin, operator
from voiceapps.models import Account, ApiClient
from voiceapps.outbound import signing_secret
from voiceapps.services import accounts

for model in (User, Group, AccessToken, Grant, IDToken, RefreshToken, ApiClient):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Account)
class AccountAdmin(ConsoleAdmin):
    """Customers."""

    list_display = ("account_id", "name", "created_at")
    search_fields = ("account_id", "name")
    readonly_fields = ("created_at", "webhook_signing_secret")

    @admin.display(description="Webhook signing secret")
    def webhook_signing_secret(self, account: Account) -> str:
        """Show what the customer verifies signatures with (Standard Webhooks)."""
        return "whsec_" + base64.b64encode(signing_secret(settings.SIPURI_WEBHOOK_KEY, account.account_id)).decode()

    def get_readonly_fields(self, _request: HttpRequest, obj: Account | None = None) -> Any:
        """An account's id never changes."""
        return self.readonly_fields if obj is None else ("account_id", *self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: Account, _form: Any, _change: bool) -> None:
        """Create or rename through the service."""
        accounts.ensure_account(obj.account_id, actor=operator(request), name=obj.name)

    def has_delete_permission(self, _request: HttpRequest, _obj: Account | None = None) -> bool:
        """An account's calls outlive it."""
        return False


@admin.register(ApiClient)
class ApiClientAdmin(ReadOnlyAdmin):
    """OAuth clients; `manage.py bootstrap` makes them."""

    list_display = ("client_id", "bound_to", "created")
    search_fields = ("client_id", "name")
    # The secret's hash is nobody's business.
    fields = readonly_fields = ("client_id", "name", "bound_to", "scopes", "created")

    @admin.display(description="Accounts")
    def bound_to(self, client: ApiClient) -> str:
        """List the accounts that the client sees."""
        return ", ".join(client.accounts.values_list("account_id", flat=True))


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ConsoleAdmin):  # type: ignore[type-arg]  # the generic form exists in the stubs only
    """Operators."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ConsoleAdmin):
    """Roles of operators."""
