"""Base classes of the console's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin

from voiceapps.services.audit import Actor

if TYPE_CHECKING:
    from django.db.models import Model


class ConsoleAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold ships no types
    """A page whose writes go through services."""

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    compressed_fields = True
    unread: tuple[str, ...] = ()
    """The encrypted fields of the rows, and of what they are listed with."""

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the rows without what is encrypted: one that no key opens would spoil the list."""
        return super().get_queryset(request).defer(*self.unread)


class ReadOnlyAdmin(ConsoleAdmin):
    """A page of rows that only the system writes."""

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Return False: only the system adds rows."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Return False: only the system changes rows."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Return False: only the system deletes rows."""
        return False

    def get_readonly_fields(self, _request: HttpRequest, _obj: Model | None = None) -> Any:
        """Return every field but the excluded ones."""
        hidden = self.exclude or ()
        return [*(field.name for field in self.opts.fields if field.name not in hidden), *self.readonly_fields]


def operator(request: HttpRequest) -> Actor:
    """Return the operator of a request as the actor for the audit trail."""
    return Actor(f"operator {request.user.get_username()}", request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_REQUEST_ID", ""))
