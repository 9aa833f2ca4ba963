"""Authentication by bearer token, which only the Authorization header may carry (RFC 6750 §2.1, RFC 9700 §4.3.2)."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from voiceapps.api.access import tokens

CHALLENGE = 'Bearer realm="sipuri"'


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
