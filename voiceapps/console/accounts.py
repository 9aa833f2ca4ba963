"""Accounts, API clients and operators."""

from __future__ import annotations

import base64
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken
from unfold.admin import TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from voiceapps.console.base import ConsoleAdmin, ReadOnlyAdmin, operator
from voiceapps.daemon.outbound import signing_secret
from voiceapps.models import Account, ApiClient, ClientSecret
from voiceapps.services import accounts, audit

for model in (User, Group, AccessToken, Grant, IDToken, RefreshToken, ApiClient):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


LIMITS = ("max_calls", "max_calls_per_second", "max_applications")


@admin.register(Account)
class AccountAdmin(ConsoleAdmin):
    """The pages of accounts."""

    list_display = ("account_id", "name", *LIMITS, "created_at")
    search_fields = ("account_id", "name")
    fields = ("account_id", "name", *LIMITS, "created_at", "webhook_signing_secret")
    readonly_fields = ("created_at", "webhook_signing_secret")

    @admin.display(description="Webhook signing secret")
    def webhook_signing_secret(self, account: Account) -> str:
        """Return the secret with which the customer verifies signatures (Standard Webhooks)."""
        return "whsec_" + base64.b64encode(signing_secret(settings.SIPURI_WEBHOOK_KEY, account.account_id)).decode()

    def get_readonly_fields(self, _request: HttpRequest, obj: Account | None = None) -> Any:
        """Make the id of an existing account read-only: it never changes."""
        return self.readonly_fields if obj is None else ("account_id", *self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: Account, _form: Any, _change: bool) -> None:
        """Create or rename the account and set its limits, through the services."""
        account = accounts.ensure_account(obj.account_id, actor=operator(request), name=obj.name)
        accounts.set_limits(account, actor=operator(request), **{name: getattr(obj, name) for name in LIMITS})

    def has_delete_permission(self, _request: HttpRequest, _obj: Account | None = None) -> bool:
        """Return False: its calls refer to the account."""
        return False


class SecretInline(TabularInline):  # type: ignore[misc]  # Unfold ships no types
    """The times of a client's secrets; the secrets themselves are unknown."""

    model = ClientSecret
    fields = readonly_fields = ("created_at", "expires_at", "last_used_at")
    ordering = ("created_at",)
    extra = 0
    can_delete = False

    def has_add_permission(self, _request: HttpRequest, _obj: ApiClient | None = None) -> bool:
        """Return False: secrets are made by `manage.py bootstrap` and the credentials API."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: ApiClient | None = None) -> bool:
        """Return False: a secret never changes."""
        return False


@admin.register(ApiClient)
class ApiClientAdmin(ReadOnlyAdmin):
    """The pages of OAuth clients, which `manage.py bootstrap` and the credentials API create."""

    list_display = ("client_id", "bound_to", "created")
    search_fields = ("client_id", "name")
    # The other columns of django-oauth-toolkit belong to grants that are not offered.
    fields = readonly_fields = ("client_id", "name", "bound_to", "scopes", "created")
    inlines = (SecretInline,)
    view_on_site = False

    @admin.display(description="Accounts")
    def bound_to(self, client: ApiClient) -> str:
        """Return the ids of the accounts that the client sees."""
        return ", ".join(client.accounts.values_list("account_id", flat=True))


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]  # the generic form exists in the stubs only
    """A page of Django's own models, whose changes go into the audit trail as well as into Django's history."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Audit that a row was created."""
        self._audit(request, "create", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Audit which fields were changed, or that the password was."""
        fields = [name for part in message if isinstance(part, dict) for name in part.get("changed", {}).get("fields", [])]
        self._audit(request, "change", obj, {"fields": fields} if fields else {"message": str(message)})
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Model]) -> Any:
        """Audit which rows were deleted."""
        for row in queryset:
            self._audit(request, "delete", row)
        return super().log_deletions(request, queryset)

    def _audit(self, request: HttpRequest, verb: str, row: Model, changes: dict[str, object] | None = None) -> None:
        audit.record(operator(request), f"{self.opts.model_name}.{verb}", str(row), changes or {})


@admin.register(User)
class UserAdmin(Audited, DjangoUserAdmin, ConsoleAdmin):  # type: ignore[type-arg]  # the generic form exists in the stubs only
    """The pages of operators."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(Audited, DjangoGroupAdmin, ConsoleAdmin):
    """The pages of operators' groups."""
