"""API credentials: clients that an admin creates for its own accounts, and their secrets.

No client grants more than it has: a change that gives a credential new powers needs a token with all scopes of that credential.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.base import ClientViewSet
from voiceapps.api.openapi import IDEMPOTENCY_KEY, enveloped, operation
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.errors import Problem, ProblemError, bad, conflict
from voiceapps.api.wire.forms import ShownOnce, StrictInput, StrictText, StrictTexts, Time, parameters, valid
from voiceapps.api.wire.guards import once
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.models import Account, ApiClient, ClientSecret
from voiceapps.models.accounts import ACCOUNT_ID, ROLES, SCOPES
from voiceapps.services import clients

PATH = "api/v1/credentials"
TAG = "Credentials"
BY_ID = Keyset(("id",))
MAX_DESCRIPTION = 255
MAX_ACCOUNTS = 100

CREDENTIAL: dict[str, object] = {
    "clientId": "api-4k2m9x0c1q7w8z5r3t6y2u1p",
    "description": "Provisioning",
    "accountScope": "ACCOUNT",
    "roles": ["HTTP Application Management"],
    "scopes": ["voice-applications:read", "voice-applications:write"],
    "accounts": ["9900000"],
    "createdAt": "2026-11-22T18:04:31.250Z",
}
SECRET: dict[str, object] = {
    "secretId": "0a2f6d1e-6c3d-4f3c-9b0e-3d9a5c1f7a42",
    "createdAt": "2026-11-22T18:04:31.250Z",
    "expirationDate": None,
}
LISTED_SECRET: dict[str, object] = SECRET | {"lastUsedAt": "2026-11-23T08:00:02.713Z"}
MADE_SECRET: dict[str, object] = SECRET | {"clientSecret": "HxV3m0c9Qw2Zr8TdKp5LyBn7GsJf4Ea1"}


class CredentialInput(StrictInput):
    """What a credential is made of; a change names the fields that change."""

    READ_ONLY: ClassVar[Collection[str]] = ("clientId", "scopes", "createdAt")

    description = StrictText(max_length=MAX_DESCRIPTION)
    accountScope = serializers.ChoiceField(["ACCOUNT"], required=False)
    roles = StrictTexts(help_text=f"Of {', '.join(ROLES)}.")
    accounts = StrictTexts(help_text=f"1 to {MAX_ACCOUNTS} of your own accounts.")

    def validate_roles(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """Return the roles; raises ValidationError for an unknown one."""
        if not set(roles) <= set(ROLES):
            raise serializers.ValidationError(f"Each must be one of {', '.join(ROLES)}.")
        return roles

    def validate_accounts(self, accounts: tuple[str, ...]) -> tuple[str, ...]:
        """Return the account ids; raises ValidationError for their number or shape."""
        if not 1 <= len(accounts) <= MAX_ACCOUNTS or not all(ACCOUNT_ID.fullmatch(account) for account in accounts):
            raise serializers.ValidationError(f"1 to {MAX_ACCOUNTS} account ids.")
        return accounts


class CredentialData(serializers.Serializer[Any]):
    """A credential."""

    clientId = serializers.CharField(source="client_id")
    description = serializers.CharField(source="name")
    accountScope = serializers.CharField(source="account_scope")
    roles = serializers.ListField(child=serializers.CharField(), help_text="Those whose scopes the credential has, all of them.")
    scopes = serializers.ListField(child=serializers.CharField())
    accounts = serializers.ListField(source="account_ids", child=serializers.CharField())
    createdAt = Time(source="created")


class StrictTime(serializers.DateTimeField):
    """An ISO 8601 time in a JSON string."""

    def to_internal_value(self, value: Any) -> datetime:
        """Return the time; one without an offset is UTC."""
        if not isinstance(value, str):
            raise serializers.ValidationError("Must be an ISO 8601 time in a string.")
        return super().to_internal_value(value)


class SecretInput(StrictInput):
    """How long a secret is to work."""

    expirationDate = StrictTime(required=False, allow_null=True, default=None, help_text="In the future; null for as long as it is there.")

    def validate_expirationDate(self, expires_at: datetime | None) -> datetime | None:  # noqa: N802  # DRF finds it by the wire's name
        """Return the time; raises ValidationError unless it is in the future."""
        if expires_at is not None and expires_at <= timezone.now():
            raise serializers.ValidationError("Must be in the future.")
        return expires_at


class SecretData(serializers.Serializer[Any]):
    """A secret, but for what it is."""

    secretId = serializers.UUIDField(source="secret_id")
    createdAt = Time(source="created_at")
    expirationDate = Time(source="expires_at", allow_null=True)


class ListedSecretData(SecretData):
    """A secret that somebody has."""

    lastUsedAt = Time(source="last_used_at", allow_null=True, help_text="To the minute.")


class MadeSecretData(SecretData):
    """A new secret."""

    clientSecret = ShownOnce(source="secret", help_text="Only in the answer that made it.")
    clientSecretNotice = ShownOnce(help_text="In a replay of an Idempotency-Key: why the secret is not there.")


def scopes_of(roles: Collection[str]) -> list[str]:
    """Return the scopes of roles, in the order of `SCOPES`."""
    wanted = {scope for role in roles for scope in ROLES[role]}
    return [scope for scope in SCOPES if scope in wanted]


ONE = enveloped("CredentialAnswer", CredentialData())
MANY = enveloped("CredentialsAnswer", CredentialData(many=True))
NEW_SECRET = enveloped("MadeSecretAnswer", MadeSecretData())
SECRETS = enveloped("SecretsAnswer", ListedSecretData(many=True))


class VisibleCredentialViewSet(ClientViewSet):
    """Credentials whose accounts are all the caller's, or what belongs to one of them."""

    scopes: ClassVar[dict[str, str]] = {"GET": "admin", "POST": "admin", "PATCH": "admin", "DELETE": "admin"}

    def visible(self) -> QuerySet[ApiClient]:
        """Return the clients that have accounts and only the caller's."""
        bonds = ApiClient.accounts.through.objects.filter(apiclient=OuterRef("pk"))
        own = self.client.accounts.values("pk")
        foreign = bonds.exclude(account__in=own)
        found: QuerySet[ApiClient] = ApiClient.objects.filter(Exists(bonds.filter(account__in=own)), ~Exists(foreign))
        return found

    def credential(self) -> ApiClient:
        """Return the client in the path; raises Http404 if it is unknown or not visible."""
        client_id = self.kwargs["client_id"]
        if "\0" in client_id:
            raise Http404
        return get_object_or_404(self.visible(), client_id=client_id)

    def granted(self, roles: Collection[str] | None) -> list[str] | None:
        """Return the scopes of roles, None for None; raises ProblemError if the caller's token lacks one of them."""
        if roles is None:
            return None
        scopes = scopes_of(roles)
        if not self._token_has(scopes):
            raise bad("field", "roles", "Your token has fewer scopes than these roles.")
        return scopes

    def own_accounts(self, ids: Collection[str] | None) -> list[Account] | None:
        """Return the accounts with these ids, None for None; raises ProblemError for one that is not the caller's."""
        if ids is None:
            return None
        accounts = list(self.client.accounts.filter(pk__in=ids))
        if len(accounts) < len(set(ids)):
            raise bad("field", "accounts", "Each must be one of your own accounts.")
        return accounts

    def may_empower(self, client: ApiClient) -> None:
        """Raise ProblemError if the client has a scope that the caller's token lacks."""
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
            client = clients.create(given["description"], scopes, accounts, actor=self.actor)
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
        changed = clients.update(client, description=given.get("description"), scopes=scopes, accounts=accounts, actor=self.actor)
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
    lookup_value_converter = "id"

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
            made = clients.add_secret(client, expires_at, actor=self.actor)
            return ok(MadeSecretData(made.row, context={"secret": made.secret}).data, status=201, headers={"Cache-Control": "no-store"})

        return once(self.client, request, make)

    @operation("deleteSecret", tag=TAG, answers={204: None}, errors=(401, 403, 404, 429))
    def destroy(self, _request: Request, client_id: str, secret_id: UUID) -> Response:
        """Delete a secret, also the last one; tokens that were issued for it stay valid until they expire."""
        row = get_object_or_404(ClientSecret, pk=secret_id, client=self.credential())
        clients.delete_secret(row, actor=self.actor)
        return Response(status=204)
