"""API credentials: clients that an admin makes for its own accounts, and their secrets (voice-applications-api.md).

Nobody gives away more than it has: whatever makes a credential usable needs a token with all scopes of that credential.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.base import ClientViewSet
from voiceapps.api.openapi import IDEMPOTENCY_KEY, enveloped, operation
from voiceapps.api.resources.credential_fields import (
    CREDENTIAL,
    LISTED_SECRET,
    MADE_SECRET,
    CredentialData,
    CredentialInput,
    ListedSecretData,
    MadeSecretData,
    SecretInput,
    scopes_of,
)
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.errors import Problem, ProblemError, bad, conflict
from voiceapps.api.wire.idempotency import once
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.api.wire.strict import parameters, valid
from voiceapps.models import Account, ApiClient, ClientSecret
from voiceapps.services import clients
from voiceapps.services.clients import TooManyClientsError, TooManySecretsError

PATH = "api/v1/credentials"
TAG = "Credentials"
ONE = enveloped("CredentialAnswer", CredentialData())
MANY = enveloped("CredentialsAnswer", CredentialData(many=True))
NEW_SECRET = enveloped("MadeSecretAnswer", MadeSecretData())
SECRETS = enveloped("SecretsAnswer", ListedSecretData(many=True))
BY_ID = Keyset(("id",))


class VisibleCredentialViewSet(ClientViewSet):
    """The credentials that lie wholly within the caller's accounts, or what belongs to one of them."""

    scopes: ClassVar[dict[str, str]] = {"GET": "admin", "POST": "admin", "PATCH": "admin", "DELETE": "admin"}

    def visible(self) -> QuerySet[ApiClient]:
        """Return the clients that have accounts, all of them the caller's."""
        bonds = ApiClient.accounts.through.objects.filter(apiclient=OuterRef("pk"))
        own = self.client.accounts.values("pk")
        foreign = bonds.exclude(account__in=own)
        found: QuerySet[ApiClient] = ApiClient.objects.filter(Exists(bonds.filter(account__in=own)), ~Exists(foreign))
        return found

    def credential(self) -> ApiClient:
        """Return the client in the path; raises Http404 for one that is unknown or not visible."""
        client_id = self.kwargs["client_id"]
        if "\0" in client_id:
            raise Http404
        return get_object_or_404(self.visible(), client_id=client_id)

    def granted(self, roles: Collection[str] | None) -> list[str] | None:
        """Return the scopes of roles, None for none; raises ProblemError where the caller's token has fewer."""
        if roles is None:
            return None
        scopes = scopes_of(roles)
        if not self._token_has(scopes):
            raise bad("field", "roles", "Your token has fewer scopes than these roles.")
        return scopes

    def own_accounts(self, ids: Collection[str] | None) -> list[Account] | None:
        """Return the accounts, None for none; raises ProblemError for one that is not the caller's."""
        if ids is None:
            return None
        accounts = list(self.client.accounts.filter(pk__in=ids))
        if len(accounts) < len(set(ids)):
            raise bad("field", "accounts", "Each must be one of your own accounts.")
        return accounts

    def may_empower(self, client: ApiClient) -> None:
        """Raise ProblemError where the caller would let others do more than it may do itself."""
        if not self._token_has(client.scopes):
            raise ProblemError(Problem(403, "Your token has fewer scopes than this credential."))

    def _token_has(self, scopes: Collection[str]) -> bool:
        return bool(self.request.auth.is_valid(scopes))  # type: ignore[union-attr]  # TokenHolder saw the token


class CredentialViewSet(VisibleCredentialViewSet):
    """All credentials."""

    lookup_url_kwarg = "client_id"

    @operation("listCredentials", tag=TAG, answers={200: MANY}, example=[CREDENTIAL], query=PageQuery, errors=(400, 401, 403, 429))
    def list(self, request: Request) -> Response:
        """List the credentials of your accounts, the oldest first."""
        query = parameters(request, PageQuery)
        return answer_page(request, query, BY_ID, self.visible().prefetch_related("accounts"), CredentialData)

    @operation(
        "createCredential",
        tag=TAG,
        answers={201: ONE},
        example=CREDENTIAL,
        request=CredentialInput,
        request_example={name: CREDENTIAL[name] for name in ("description", "accountScope", "roles", "accounts")},
        headers=[IDEMPOTENCY_KEY],
        errors=(400, 401, 403, 409, 413, 415, 429),
    )
    def create(self, request: Request) -> Response:
        """Create a credential; it has no secret yet."""
        given = valid(CredentialInput(data=request.data))

        def make() -> Response:
            scopes, accounts = self.granted(given["roles"]) or [], self.own_accounts(given["accounts"]) or []
            try:
                client = clients.create(given["description"], scopes, accounts, actor=self.actor)
            except TooManyClientsError as error:
                raise conflict("too_many_credentials", str(error)) from None
            location = f"{settings.PUBLIC_URL}/{PATH}/{client.client_id}"
            return ok(CredentialData(client).data, status=201, headers={"Location": location})

        return once(self.client, request, make)

    @operation("getCredential", tag=TAG, answers={200: ONE}, example=CREDENTIAL, errors=(401, 403, 404, 429))
    def retrieve(self, _request: Request, client_id: str) -> Response:
        """Show a credential."""
        return ok(CredentialData(self.credential()).data)

    @operation(
        "updateCredential",
        tag=TAG,
        answers={200: ONE},
        example=CREDENTIAL,
        request=CredentialInput,
        request_example={"roles": ["HttpVoice"]},
        errors=(400, 401, 403, 404, 409, 413, 415, 429),
    )
    def partial_update(self, request: Request, client_id: str) -> Response:
        """Change the fields that are sent, at once also for tokens that are out."""
        client = self.credential()
        given = valid(CredentialInput(data=request.data, partial=True))
        scopes, accounts = self.granted(given.get("roles")), self.own_accounts(given.get("accounts"))
        if accounts is not None and scopes is None:
            self.may_empower(client)
        try:
            changed = clients.update(client, description=given.get("description"), scopes=scopes, accounts=accounts, actor=self.actor)
        except TooManyClientsError as error:
            raise conflict("too_many_credentials", str(error)) from None
        return ok(CredentialData(changed).data)

    @operation("deleteCredential", tag=TAG, answers={204: None}, errors=(401, 403, 404, 409, 429))
    def destroy(self, _request: Request, client_id: str) -> Response:
        """Delete a credential with its secrets and tokens; your own is kept."""
        client = self.credential()
        if client == self.client:
            raise conflict("own_credential", "A credential cannot delete itself.")
        clients.delete(client, actor=self.actor)
        return Response(status=204)


class SecretViewSet(VisibleCredentialViewSet):
    """The secrets of a credential."""

    lookup_url_kwarg = "secret_id"
    lookup_value_converter = "uuid"

    @operation("listSecrets", tag=TAG, answers={200: SECRETS}, example=[LISTED_SECRET], errors=(401, 403, 404, 429))
    def list(self, _request: Request, client_id: str) -> Response:
        """List the credential's secrets, at most two; what they are is never shown again."""
        return ok(ListedSecretData(self.credential().secrets.order_by("created_at"), many=True).data)

    @operation(
        "createSecret",
        tag=TAG,
        answers={201: NEW_SECRET},
        example=MADE_SECRET,
        request=SecretInput,
        request_example={"expirationDate": None},
        headers=[IDEMPOTENCY_KEY],
        errors=(400, 401, 403, 404, 409, 413, 415, 429),
    )
    def create(self, request: Request, client_id: str) -> Response:
        """Make a secret, which is shown this once; a third one is refused until you delete one."""
        client = self.credential()
        expires_at = valid(SecretInput(data=request.data))["expirationDate"]
        self.may_empower(client)

        def make() -> Response:
            try:
                made = clients.add_secret(client, expires_at, actor=self.actor)
            except TooManySecretsError as error:
                raise conflict("too_many_secrets", str(error)) from None
            return ok(MadeSecretData(made.row, context={"secret": made.secret}).data, status=201, headers={"Cache-Control": "no-store"})

        return once(self.client, request, make)

    @operation("deleteSecret", tag=TAG, answers={204: None}, errors=(401, 403, 404, 429))
    def destroy(self, _request: Request, client_id: str, secret_id: UUID) -> Response:
        """Delete a secret, also the last one; tokens that were issued for it stay valid until they expire."""
        row = get_object_or_404(ClientSecret, pk=secret_id, client=self.credential())
        clients.delete_secret(row, actor=self.actor)
        return Response(status=204)
