"""Keep API clients and their secrets: at most two at a time, so that a rotation leaves no gap."""

from __future__ import annotations

from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from voiceapps.models import Account, ApiClient, ClientSecret
from voiceapps.services import audit
from voiceapps.services.audit import Actor

MIN_SECRET_LENGTH = 24
MAX_SECRETS = 2
_HASHER = "sipuri_hmac"


@transaction.atomic
def ensure_client(client_id: str, secret: str, account: Account, *, actor: Actor) -> ApiClient:
    """Return the client with this secret and no other, bound to the account; raises ValidationError for a short secret."""
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
        client.save()
    if secret_of(client, secret) is None:
        client.secrets.all().delete()
        ClientSecret.objects.create(client=client, digest=make_password(secret, hasher=_HASHER))
    client.accounts.add(account)
    audit.record(actor, "client.ensure", client_id, {"accounts": [account.account_id]}, account=account.account_id)
    return client


def secret_of(client: ApiClient, secret: str) -> ClientSecret | None:
    """Return the client's row of a secret that is right and not expired."""
    valid = client.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    return next((row for row in valid if check_password(secret, row.digest)), None)
