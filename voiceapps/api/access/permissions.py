"""Permissions: a client sees its own accounts only and may do what its scopes allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from voiceapps.models.accounts import ACCOUNT_ID


class Guarded(Protocol):
    """What these permissions need of a view."""

    @property
    def scopes(self) -> Mapping[str, str]:
        """The scope that each HTTP method needs."""

    @property
    def kwargs(self) -> dict[str, Any]:
        """The path's parameters."""


class TokenHolder(BasePermission):
    """Admits a token whose scopes cover the method."""

    def has_permission(self, request: Request, view: Guarded) -> bool:  # type: ignore[override]  # it guards these views only
        """Return True; raises NotAuthenticated without a token, PermissionDenied if it lacks the scope."""
        token: Any = request.auth
        if token is None:
            raise NotAuthenticated("A valid access token is required: Authorization: Bearer <token>.")
        # HEAD and OPTIONS show something of what GET would: the same scope.
        method = "GET" if request.method in {"HEAD", "OPTIONS"} else request.method or ""
        scope = view.scopes.get(method) or (next(iter(view.scopes.values()), None) if request.method == "OPTIONS" else None)
        if scope is not None and not token.is_valid([scope]):
            raise PermissionDenied(f"The token lacks the scope {scope}.")
        return True


class AccountMember(BasePermission):
    """Admits a client that is bound to the account in the path. An unknown account is refused like somebody else's."""

    def has_permission(self, request: Request, view: Guarded) -> bool:  # type: ignore[override]  # it guards these views only
        """Return True; raises PermissionDenied for any other account."""
        account_id, client = view.kwargs["account_id"], request.auth.application  # type: ignore[union-attr]  # TokenHolder saw the token
        if not (ACCOUNT_ID.fullmatch(account_id) and client.accounts.filter(pk=account_id).exists()):
            raise PermissionDenied("This client has no access to this account.")
        return True
