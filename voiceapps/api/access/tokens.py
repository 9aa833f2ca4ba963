"""Access tokens: JWTs (RFC 9068), each with a row in the database.

The signature is checked before the database is asked. What a token may do is read from the database: revoking a token deletes its row,
and a scope or an account that the client loses is lost to its tokens at once. The claims are for other services that read the token.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.utils import timezone
from oauth2_provider.models import AccessToken

from voiceapps.api.access import token_keys
from voiceapps.models import ApiClient
from voiceapps.models.accounts import ROLES

KIND = "at+jwt"


def make_token(request: Any, refresh_token: bool = False) -> str:
    """Return a token for oauthlib's request, whose client is authenticated and whose scopes are granted."""
    assert not refresh_token  # the client credentials grant has none (RFC 6749 §4.4.3)
    now = int(timezone.now().timestamp())
    claims = {"iss": settings.PUBLIC_URL, "aud": settings.PUBLIC_URL, "iat": now, "exp": now + request.expires_in, "jti": str(uuid.uuid4())}
    return token_keys.current().sign(KIND, claims | holder_claims(request.client, request.scopes))


def claims_of(token: str) -> dict[str, Any] | None:
    """Return the claims of a token that this installation issued and that has not expired, None for any other text."""
    claims = token_keys.current().verify(KIND, token)
    if claims is None or claims.get("iss") != settings.PUBLIC_URL or claims.get("aud") != settings.PUBLIC_URL:
        return None
    expires = claims.get("exp")
    return claims if isinstance(expires, int) and timezone.now().timestamp() < expires else None


def row_of(token: str) -> AccessToken | None:
    """Return a token's row with its client and the scopes that the client still has, None if it was revoked or has expired."""
    checksum = hashlib.sha256(token.encode()).hexdigest()
    row = AccessToken.objects.select_related("application").filter(token_checksum=checksum).first()
    if row is None or row.application is None or row.is_expired():
        return None
    row.scope = " ".join(scope for scope in row.scope.split() if scope in row.application.scopes)
    return row


def valid_row(token: str) -> AccessToken | None:
    """Return the row of a valid token, None for any other text."""
    return row_of(token) if claims_of(token) else None


def holder_claims(client: ApiClient, scopes: Collection[str]) -> dict[str, object]:
    """Return the claims about a token's client; `accounts` and `roles` are claims of the vendor whose API this is."""
    return {
        "sub": client.client_id,
        "client_id": client.client_id,
        "scope": " ".join(scopes),
        "accounts": sorted(client.accounts.values_list("account_id", flat=True)),
        "roles": [role for role in client.roles if set(ROLES[role]) <= set(scopes)],
    }
