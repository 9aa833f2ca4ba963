"""Authenticate clients for the token endpoints (RFC 6749 §2.3): by HTTP Basic or in the body, never both."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator

from voiceapps.models import ApiClient, ClientSecret
from voiceapps.services import clients


class ClientValidator(OAuth2Validator):  # type: ignore[misc]  # django-oauth-toolkit ships no types
    """Check a client's secret against all that it has."""

    def authenticate_client(self, request: Any, *_args: Any, **_options: Any) -> bool:
        """Tell whether the request proves its client, and keep the client in it."""
        header = request.headers.get("HTTP_AUTHORIZATION") or ""
        credentials = basic_credentials(header) if header else (request.client_id or "", request.client_secret or "")
        if credentials is None or (header and request.client_secret):
            return False
        client_id, secret = credentials
        client = ApiClient.objects.filter(client_id=client_id.replace("\0", "")).first()
        row = clients.secret_of(client, secret) if client else None
        if row is None:
            return False
        ClientSecret.objects.filter(pk=row.pk).update(last_used_at=timezone.now())
        request.client = client
        request.client_id = client_id
        return True


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return client id and secret of an Authorization header, None where it is not Basic or malformed."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (unquote_plus(user), unquote_plus(password)) if colon else None
