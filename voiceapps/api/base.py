"""What every view below an account shares."""

from __future__ import annotations

from rest_framework.views import APIView

from voiceapps.models import Account, ApiClient
from voiceapps.services.audit import Actor


class AccountView(APIView):
    """A view below `/accounts/{account_id}`."""

    read_scope = ""
    write_scope = ""

    @property
    def client(self) -> ApiClient:
        """Return the client that acts."""
        client: ApiClient = self.request.auth.application  # type: ignore[union-attr]  # AccountMember saw the token
        return client

    @property
    def account(self) -> Account:
        """Return the account in the path."""
        return Account.objects.get(pk=self.kwargs["account_id"])

    @property
    def actor(self) -> Actor:
        """Return who acts, for the audit."""
        return Actor(f"client {self.client.client_id}", self.request.META.get("REMOTE_ADDR"))
