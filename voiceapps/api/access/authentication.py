"""Authentication by bearer token, which only the Authorization header may carry (RFC 6750 §2.1, RFC 9700 §4.3.2).

Call control takes a client's id and secret, too, by HTTP Basic (RFC 7617): that is how most applications of its vendor drive it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request

from voiceapps.api.access import throttles, tokens
from voiceapps.api.access.credentials import basic_credentials
from voiceapps.models import ApiClient
from voiceapps.services import clients

CHALLENGE = 'Bearer realm="sipuri"'
BASIC_CHALLENGE = f'{CHALLENGE}, Basic realm="sipuri", charset="UTF-8"'


class InvalidTokenError(APIException):
    """The request carries a token that is not valid."""

    status_code = 401
    default_detail = "The access token is invalid, expired or revoked."
    auth_header = f'{CHALLENGE}, error="invalid_token", error_description="{default_detail}"'


class TokenAuthentication(BaseAuthentication):
    """Authentication of a client by its access token."""

    def authenticate(self, request: Request) -> tuple[None, Any] | None:
        """Return the token's row, None if the request carries no token; raises InvalidTokenError."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        row = tokens.valid_row(token.strip())
        if row is None:
            raise InvalidTokenError
        return None, row

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge for a request without a token."""
        return CHALLENGE


class InvalidCredentialsError(APIException):
    """The request carries credentials of no client."""

    status_code = 401
    default_detail = "The credentials provided were invalid."
    auth_header = BASIC_CHALLENGE


@dataclass(frozen=True, slots=True)
class SecretHolder:
    """A client that has shown its secret: what a token's row is to permissions."""

    application: ApiClient

    @property
    def application_id(self) -> Any:
        """The client's key."""
        return self.application.pk

    def is_valid(self, scopes: Collection[str]) -> bool:
        """Return whether the client has the scopes."""
        return set(scopes) <= set(self.application.scopes)


class BasicAuthentication(BaseAuthentication):
    """Authentication of a client by its id and one of its secrets."""

    def authenticate(self, request: Request) -> tuple[None, SecretHolder] | None:
        """Return the client, None if the request carries no such credentials; raises InvalidCredentialsError, Throttled."""
        header = request.headers.get("Authorization", "")
        if header.partition(" ")[0].lower() != "basic":
            return None
        credentials, source = basic_credentials(header), request.META.get("REMOTE_ADDR", "")
        if throttles.is_guessing(credentials.client_id, source):
            raise Throttled(throttles.FAILURES.remaining())
        client = clients.authenticate(credentials.client_id, credentials.secrets)
        if client is None:
            throttles.count_failure(credentials.client_id, source)
            raise InvalidCredentialsError
        throttles.count_success(credentials.client_id, source)
        return None, SecretHolder(client)
