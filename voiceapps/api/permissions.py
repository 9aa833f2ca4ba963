"""Let a client see its own accounts and do what its scopes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from voiceapps.api.base import AccountView


class AccountMember(BasePermission):
    """Admit a token whose client is bound to the account in the path and whose scopes cover the method."""

    def has_permission(self, request: Request, view: AccountView) -> bool:  # type: ignore[override]  # it guards these views only
        """Return True, or raise what is wrong with the token."""
        token: Any = request.auth
        if token is None:
            raise NotAuthenticated("A valid access token is required: Authorization: Bearer <token>.")
        account_id = view.kwargs["account_id"]
        if not token.application.accounts.filter(pk=account_id).exists():
            raise PermissionDenied(f"This client has no access to account {account_id[:16]}.")
        scope = view.read_scope if request.method in SAFE_METHODS else view.write_scope
        if not token.is_valid([scope]):
            raise PermissionDenied(f"The token lacks the scope {scope}.")
        return True
