"""What the console's pages share."""

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


class ReadOnlyAdmin(ConsoleAdmin):
    """A page of what the system writes: nobody edits it."""

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def get_readonly_fields(self, _request: HttpRequest, _obj: Model | None = None) -> Any:
        """Show every field as text, but for the excluded ones."""
        hidden = self.exclude or ()
        return [*(field.name for field in self.opts.fields if field.name not in hidden), *self.readonly_fields]


def operator(request: HttpRequest) -> Actor:
    """Return who acts, for the audit."""
    return Actor(f"operator {request.user.get_username()}", request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_REQUEST_ID", ""))
