"""Create accounts, API clients and operators."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from voiceapps.models import Account, ApiClient
from voiceapps.services import audit
from voiceapps.services.audit import Actor

MIN_SECRET_LENGTH = 24


@transaction.atomic
def ensure_account(account_id: str, *, actor: Actor, name: str | None = None) -> Account:
    """Return the account, made if it is not there and renamed if `name` is given; raises ValidationError unless the id is digits."""
    account = Account.objects.filter(pk=account_id).first() or Account(account_id=account_id)
    if account._state.adding or (name is not None and name != account.name):
        account.name = name or ""
        account.full_clean(validate_unique=False)
        account.save()
        audit.record(actor, "account.ensure", account_id, {"name": account.name})
    return account


@transaction.atomic
def ensure_client(client_id: str, secret: str, account: Account, *, actor: Actor) -> ApiClient:
    """Return the client with this secret, bound to the account; raises ValidationError for a short secret."""
    if len(secret) < MIN_SECRET_LENGTH:
        raise ValidationError(f"A client secret has at least {MIN_SECRET_LENGTH} characters: it is hashed fast (D5).")
    client: ApiClient | None = ApiClient.objects.filter(client_id=client_id).first()
    if client is None:
        client = ApiClient(
            client_id=client_id,
            name=client_id,
            client_type=ApiClient.CLIENT_CONFIDENTIAL,
            authorization_grant_type=ApiClient.GRANT_CLIENT_CREDENTIALS,
        )
    client.client_secret = secret
    client.save()
    client.accounts.add(account)
    audit.record(actor, "client.ensure", client_id, {"account": account.account_id})
    return client


@transaction.atomic
def ensure_operator(password: str, *, actor: Actor, username: str = "admin") -> User:
    """Return the operator with this password."""
    user, _ = User.objects.get_or_create(username=username, defaults={"is_staff": True, "is_superuser": True})
    user.set_password(password)
    user.save()
    audit.record(actor, "operator.ensure", username, {})
    return user
