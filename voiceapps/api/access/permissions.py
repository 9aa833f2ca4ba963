"""Let a client see its own accounts and do what its scopes say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from voiceapps.models.accounts import ACCOUNT_ID


class Guarded(Protocol):
    """A view that these permissions guard."""

    @property
    def scopes(self) -> Mapping[str, str]:
        """Return the scope that each method takes."""

    @property
    def kwargs(self) -> dict[str, Any]:
        """Return what the path holds."""


class TokenHolder(BasePermission):
    """Admit a token whose scopes cover the method."""

    def has_permission(self, request: Request, view: Guarded) -> bool:  # type: ignore[override]  # it guards these views only
        """Return True, or raise what is wrong with the token."""
        token: Any = request.auth
        if token is None:
            raise NotAuthenticated("A valid access token is required: Authorization: Bearer <token>.")
        scope = view.scopes.get(request.method or "")
        if scope is not None and not token.is_valid([scope]):
            raise PermissionDenied(f"The token lacks the scope {scope}.")
        return True


class AccountMember(BasePermission):
    """Admit a client that is bound to the account in the path; an account that does not exist looks like another's."""

    def has_permission(self, request: Request, view: Guarded) -> bool:  # type: ignore[override]  # it guards these views only
        """Return True, or raise PermissionDenied."""
        account_id, client = view.kwargs["account_id"], request.auth.application  # type: ignore[union-attr]  # TokenHolder saw the token
        if not (ACCOUNT_ID.fullmatch(account_id) and client.accounts.filter(pk=account_id).exists()):
            raise PermissionDenied("This client has no access to this account.")
        return True
