"""The validator that oauthlib calls: client authentication (RFC 6749 §2.3), introspection and revocation of tokens."""

from __future__ import annotations

from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error

from voiceapps.api.access import throttles, tokens
from voiceapps.api.access.credentials import Credentials, basic_credentials
from voiceapps.services import clients
from voiceapps.services.audit import Actor

REMOTE_ADDRESS, REQUEST_ID = "REMOTE_ADDR", "HTTP_X_REQUEST_ID"


class SlowDownError(OAuth2Error):  # type: ignore[misc]  # oauthlib ships no types
    """Too many authentications failed, or the client has too many valid tokens."""

    error = "slow_down"
    status_code = 429

    @property
    def headers(self) -> dict[str, str]:
        """The header that says when to try again."""
        return {"Retry-After": str(throttles.FAILURES.remaining())}


class ClientValidator(OAuth2Validator):  # type: ignore[misc]  # django-oauth-toolkit ships no types
    """Authenticates clients by any of their secrets, and answers for their tokens."""

    def client_authentication_required(self, _request: Any, *_args: Any, **_options: Any) -> bool:
        """Return True: there are no public clients."""
        return True

    def authenticate_client(self, request: Any, *_args: Any, **_options: Any) -> bool:
        """Return whether the request authenticates its client, and store the client in it; raises InvalidRequestError, SlowDownError."""
        credentials, source = credentials_of(request), request.headers.get(REMOTE_ADDRESS, "")
        if throttles.is_guessing(credentials.client_id, source):
            raise SlowDownError("Too many attempts failed. Try again later.")
        client = clients.authenticate(credentials.client_id, credentials.secrets)
        if client is None:
            throttles.count_failure(credentials.client_id, source)
            return False
        throttles.count_success(credentials.client_id, source)
        request.client, request.client_id = client, client.client_id
        return True

    def introspect_token(self, token: str, _hint: str, request: Any, *_args: Any, **_options: Any) -> dict[str, object] | None:
        """Return the claims and current rights of the client's own token, None for any other (RFC 7662)."""
        claims = tokens.claims_of(token)
        row = tokens.row_of(token) if claims else None
        if claims is None or row is None or row.application != request.client:
            return None
        return claims | tokens.holder_claims(row.application, row.scope.split()) | {"token_type": "Bearer"}

    def revoke_token(self, token: str, _hint: str, request: Any, *_args: Any, **_options: Any) -> None:
        """Revoke a token of the client; any other token is left alone (RFC 7009)."""
        claims = tokens.claims_of(token)
        row = tokens.row_of(token) if claims else None
        if claims is not None and row is not None and row.application == request.client:
            headers = request.headers
            actor = Actor(f"client {request.client.client_id}", headers.get(REMOTE_ADDRESS), headers.get(REQUEST_ID, ""))
            clients.revoke_token(row, claims["jti"], actor=actor)

    def _save_bearer_token(self, token: Any, request: Any, *_args: Any, **_options: Any) -> None:
        if clients.has_too_many_tokens(request.client):
            raise SlowDownError("Too many tokens of this client are valid. Use one until it expires.")
        super()._save_bearer_token(token, request)


def credentials_of(request: Any) -> Credentials:
    """Return a request's client credentials: from HTTP Basic or from the body, never both; raises InvalidRequestError."""
    header, client_id, secret = request.headers.get("Authorization"), request.client_id, request.client_secret
    if not header:
        return Credentials(client_id or "", (secret,) if secret else ())
    credentials = basic_credentials(header)
    if secret or client_id not in {None, credentials.client_id}:
        raise InvalidRequestError("The client is named by the Authorization header and by the body.")
    return credentials
