"""API clients, their secrets and their tokens. A client has at most two secrets, so that a rotation leaves no gap."""

from __future__ import annotations

import secrets as random
import string
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from oauth2_provider.models import AccessToken

from voiceapps.models import Account, ApiClient, ClientSecret
from voiceapps.services import audit, passwords
from voiceapps.services.audit import Actor

MIN_SECRET_LENGTH = 24
MAX_SECRETS = 2
MAX_CLIENTS_PER_ACCOUNT = 100
MAX_TOKENS_PER_CLIENT = 10_000
LAST_USE_STEP = timedelta(minutes=1)
"""The resolution of a secret's last use: a client that authenticates often does not cost a write each time."""

_HASHER = "sipuri_hmac"
_ID_ALPHABET = string.ascii_lowercase + string.digits


class TooManyClientsError(Exception):
    """An account has reached its limit of clients."""


class TooManySecretsError(Exception):
    """The client has reached its limit of secrets."""


@dataclass(frozen=True, slots=True)
class MadeSecret:
    """A new secret in clear, which is shown once, and its row."""

    row: ClientSecret
    secret: str


@transaction.atomic
def ensure_client(client_id: str, secret: str, account: Account, *, actor: Actor) -> str | None:
    """Create a client if it is missing, and bind it to the account.

    A given secret becomes its only one. Without one the client keeps what it has; if it has none that is valid, one is made and
    returned. Raises ValidationError for a short secret.
    """
    if secret and len(secret) < MIN_SECRET_LENGTH:
        raise ValidationError(f"A client secret has at least {MIN_SECRET_LENGTH} characters: it is hashed fast.")
    client: ApiClient | None = ApiClient.objects.filter(client_id=client_id).first()
    if client is None:
        client = _new_client(client_id, client_id)
        client.save()
    made = None if secret or _valid_secrets(client).exists() else passwords.make_password()
    wanted = secret or made
    if wanted and _secret_of(client, (wanted,)) is None:
        client.secrets.all().delete()
        ClientSecret.objects.create(client=client, digest=make_password(wanted, hasher=_HASHER))
    client.accounts.add(account)
    audit.record(actor, "client.ensure", client_id, {"accounts": [account.account_id]}, account=account.account_id)
    return made


@transaction.atomic
def create(description: str, scopes: Iterable[str], accounts: Collection[Account], *, actor: Actor) -> ApiClient:
    """Create a client without a secret, bound to the accounts; raises TooManyClientsError."""
    _make_room(accounts)
    client = _new_client("api-" + "".join(random.choice(_ID_ALPHABET) for _ in range(24)), description)
    client.scopes = list(scopes)
    client.save(force_insert=True)
    client.accounts.set(accounts)
    _record(actor, "client.create", client, {"description": description, "scopes": client.scopes, "accounts": _ids(accounts)})
    return client


@transaction.atomic
def update(
    client: ApiClient,
    *,
    description: str | None = None,
    scopes: Iterable[str] | None = None,
    accounts: Collection[Account] | None = None,
    actor: Actor,
) -> ApiClient:
    """Change what is given, also for tokens that exist already; raises TooManyClientsError, ApiClient.DoesNotExist."""
    client = ApiClient.objects.select_for_update().get(pk=client.pk)
    changes: dict[str, object] = {}
    before: dict[str, object] = {}
    if description is not None and description != client.name:
        before["description"], changes["description"] = client.name, description
        client.name = description
    if scopes is not None and (wanted := list(scopes)) != client.scopes:
        before["scopes"], changes["scopes"] = client.scopes, wanted
        client.scopes = wanted
    if accounts is not None and _ids(accounts) != (bound := _ids(client.accounts.all())):
        before["accounts"], changes["accounts"] = bound, _ids(accounts)
        _make_room([account for account in accounts if account not in client.accounts.all()])
        client.accounts.set(accounts)
    if changes:
        client.save()
        _record(actor, "client.update", client, changes, before)
    return client


@transaction.atomic
def delete(client: ApiClient, *, actor: Actor) -> None:
    """Delete a client with its secrets and tokens."""
    _record(actor, "client.delete", client, {"description": client.name})
    client.delete()


@transaction.atomic
def add_secret(client: ApiClient, expires_at: datetime | None, *, actor: Actor) -> MadeSecret:
    """Create a secret for a client, after deleting its expired ones; raises TooManySecretsError, ApiClient.DoesNotExist."""
    client = ApiClient.objects.select_for_update().get(pk=client.pk)
    client.secrets.filter(expires_at__lte=timezone.now()).delete()
    if client.secrets.count() >= MAX_SECRETS:
        raise TooManySecretsError(f"A client has at most {MAX_SECRETS} secrets. Delete the one that is no longer used.")
    secret = passwords.make_password()
    row = ClientSecret.objects.create(client=client, digest=make_password(secret, hasher=_HASHER), expires_at=expires_at)
    expiry = expires_at.isoformat() if expires_at else None
    _record(actor, "client.add_secret", client, {"secret": "***", "secret_id": str(row.pk), "expires_at": expiry})
    return MadeSecret(row, secret)


@transaction.atomic
def delete_secret(row: ClientSecret, *, actor: Actor) -> None:
    """Delete a secret, also the last one. Tokens that were issued for it stay valid until they expire."""
    _record(actor, "client.delete_secret", row.client, {"secret_id": str(row.pk)})
    row.delete()


def authenticate(client_id: str, secrets: Iterable[str]) -> ApiClient | None:
    """Return the client if it has one of the secrets, and store the time of its use; else None."""
    # PostgreSQL refuses a parameter with NUL.
    client = None if "\0" in client_id else ApiClient.objects.filter(client_id=client_id).first()
    row = _secret_of(client, secrets) if client else None
    if row is None:
        return None
    now = timezone.now()
    if row.last_used_at is None or row.last_used_at < now - LAST_USE_STEP:
        ClientSecret.objects.filter(pk=row.pk).update(last_used_at=now)
    return client


@transaction.atomic
def revoke_token(row: AccessToken, token_id: str, *, actor: Actor) -> None:
    """Revoke an access token, which the audit trail names by its `jti`."""
    _record(actor, "client.revoke_token", row.application, {"jti": token_id})
    row.delete()


def has_too_many_tokens(client: ApiClient) -> bool:
    """Return whether the client has reached its limit of valid tokens."""
    return bool(AccessToken.objects.filter(application=client, expires__gt=timezone.now()).count() >= MAX_TOKENS_PER_CLIENT)


def sweep_tokens() -> int:
    """Delete the tokens that have expired and return their number."""
    deleted: int = AccessToken.objects.filter(expires__lte=timezone.now()).delete()[0]
    return deleted


def _new_client(client_id: str, name: str) -> ApiClient:
    return ApiClient(
        client_id=client_id,
        name=name,
        client_type=ApiClient.CLIENT_CONFIDENTIAL,
        authorization_grant_type=ApiClient.GRANT_CLIENT_CREDENTIALS,
    )


def _valid_secrets(client: ApiClient) -> QuerySet[ClientSecret]:
    return ClientSecret.objects.filter(client=client).filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


def _secret_of(client: ApiClient, secrets: Iterable[str]) -> ClientSecret | None:
    candidates = tuple(secrets)
    return next((row for row in _valid_secrets(client) if any(check_password(secret, row.digest) for secret in candidates)), None)


def _make_room(accounts: Collection[Account]) -> None:
    """Lock the accounts; raises TooManyClientsError if one of them has reached its limit."""
    for account in Account.objects.select_for_update().filter(pk__in=[account.pk for account in accounts]).order_by("pk"):
        if ApiClient.objects.filter(accounts=account).count() >= MAX_CLIENTS_PER_ACCOUNT:
            raise TooManyClientsError(f"Account {account.pk} may have {MAX_CLIENTS_PER_ACCOUNT} API clients and has them.")


def _ids(accounts: Iterable[Account]) -> list[str]:
    return sorted(account.pk for account in accounts)


def _record(actor: Actor, action: str, client: ApiClient, changes: dict[str, object], before: dict[str, object] | None = None) -> None:
    """Add an entry to the chain of the client's first account, or of the installation if it has none."""
    account = next(iter(_ids(client.accounts.all())), audit.SYSTEM)
    audit.record(actor, action, client.client_id, changes, account=account, before=before)
