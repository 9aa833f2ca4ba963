"""Base classes of the API's viewsets."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.viewsets import ViewSet

from voiceapps.api.access.permissions import AccountMember, TokenHolder
from voiceapps.models import Account, ApiClient
from voiceapps.services.audit import Actor


class ClientViewSet(ViewSet):
    """Resources for clients with a token; `scopes` names the scope that each HTTP method takes."""

    permission_classes = [TokenHolder]  # noqa: RUF012  # DRF reads it as it is
    scopes: ClassVar[dict[str, str]] = {}

    @property
    def client(self) -> ApiClient:
        """The client that sent the request."""
        client: ApiClient = self.request.auth.application  # type: ignore[union-attr]  # TokenHolder saw the token
        return client

    @property
    def actor(self) -> Actor:
        """The actor that the audit trail names."""
        meta = self.request.META
        return Actor(f"client {self.client.client_id}", meta.get("REMOTE_ADDR"), meta.get("HTTP_X_REQUEST_ID", ""))


class AccountViewSet(ClientViewSet):
    """Resources below `/accounts/{account_id}`."""

    permission_classes = [TokenHolder, AccountMember]  # noqa: RUF012  # DRF reads it as it is

    @property
    def account(self) -> Account:
        """The account in the path."""
        return Account.objects.get(pk=self.kwargs["account_id"])
