"""The OAuth 2.0 endpoints that authenticate clients: token (RFC 6749), revocation (RFC 7009), introspection (RFC 7662)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from oauth2_provider.settings import oauth2_settings
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from voiceapps.api.access.clients import REMOTE_ADDRESS, REQUEST_ID, ClientValidator
from voiceapps.api.access.forms import OAuthForm, form_of
from voiceapps.api.openapi import CLIENT_SECRET, OAUTH_ERRORS, operation
from voiceapps.api.wire.errors import Problem
from voiceapps.models.accounts import SCOPES

TAG = "OAuth 2.0"
ERRORS = (400, 401, 413, 429)

TOKEN_EXAMPLE = {
    "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiIsImtpZCI6Ik5...",
    "expires_in": 3600,
    "token_type": "Bearer",
    "scope": " ".join(SCOPES),
}
INTROSPECTION_EXAMPLE = {
    "active": True,
    "iss": "https://api.example.com",
    "aud": "https://api.example.com",
    "iat": 1795370400,
    "exp": 1795374000,
    "jti": "0a2f6d1e-6c3d-4f3c-9b0e-3d9a5c1f7a42",
    "sub": "api-4k2m9x0c1q7w8z5r3t6y2u1p",
    "client_id": "api-4k2m9x0c1q7w8z5r3t6y2u1p",
    "scope": "voice-applications:read voice-applications:write",
    "accounts": ["9900000"],
    "roles": ["HTTP Application Management"],
    "token_type": "Bearer",
}


class ClientFields(serializers.Serializer[Any]):
    """How a client names itself where it does not use HTTP Basic."""

    client_id = serializers.CharField(required=False)
    client_secret = serializers.CharField(required=False)


class TokenRequest(ClientFields):
    """What a token is asked for with."""

    grant_type = serializers.ChoiceField(["client_credentials"])
    scope = serializers.CharField(
        required=False, help_text="Scopes with blanks between them; all that the client has where it is left out."
    )


class TokenAnswer(serializers.Serializer[Any]):
    """A token and how long it lives."""

    access_token = serializers.CharField(help_text="A JWT (RFC 9068).")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    token_type = serializers.CharField()
    scope = serializers.CharField(allow_blank=True)


class TokenField(ClientFields):
    """The token that a request is about."""

    token = serializers.CharField()
    token_type_hint = serializers.CharField(required=False)


class Introspection(serializers.Serializer[Any]):
    """What a token says and may do now; `active` alone where it is none of the client's."""

    active = serializers.BooleanField()
    iss = serializers.CharField(required=False)
    aud = serializers.CharField(required=False)
    iat = serializers.IntegerField(required=False)
    exp = serializers.IntegerField(required=False)
    jti = serializers.CharField(required=False)
    sub = serializers.CharField(required=False)
    client_id = serializers.CharField(required=False)
    scope = serializers.CharField(required=False)
    accounts = serializers.ListField(child=serializers.CharField(), required=False)
    roles = serializers.ListField(child=serializers.CharField(), required=False)
    token_type = serializers.CharField(required=False)


def oauth_error(problems: Sequence[Problem]) -> dict[str, str]:
    """Return the first problem in the shape of RFC 6749 §5.2, which allows no double quotes in its texts."""
    problem = problems[0]
    error = problem.type or OAUTH_ERRORS.get(problem.status, "invalid_request")
    return {"error": error, "error_description": problem.description.replace('"', "'")}


class OAuthEndpoint(APIView):
    """A view that parses a client's form and leaves the rest to oauthlib."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()  # failures are counted where clients are authenticated
    parser_classes = [OAuthForm]  # noqa: RUF012  # DRF reads it as it is
    http_method_names = ["post"]  # noqa: RUF012  # likewise
    render_problems = staticmethod(oauth_error)
    act = ""

    def ask(self, request: Request) -> Response:
        """Answer a request with the method of oauthlib's server that `act` names."""
        arguments = (settings.PUBLIC_URL + request.path, "POST", urlencode(form_of(request)), _headers(request))
        try:
            headers, body, status = getattr(_server(), self.act)(*arguments)
        except OAuth2Error as error:
            headers, body, status = error.headers, error.json, error.status_code
        response = Response(json.loads(body) if body else None, status=status)
        if "Retry-After" in headers:
            response["Retry-After"] = headers["Retry-After"]
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Forbid caching of every answer, and add the challenge to a 401."""
        response["Cache-Control"], response["Pragma"] = "no-store", "no-cache"
        if response.status_code == 401:
            response["WWW-Authenticate"] = 'Basic realm="sipuri"'
        return super().finalize_response(request, response, *args, **kwargs)


class Token(OAuthEndpoint):
    """The token endpoint."""

    act = "create_token_response"

    @operation(
        "createToken",
        tag=TAG,
        answers={200: TokenAnswer},
        example=TOKEN_EXAMPLE,
        request=TokenRequest,
        request_example={"grant_type": "client_credentials"},
        errors=ERRORS,
        shape="oauth",
        security=CLIENT_SECRET,
    )
    def post(self, request: Request) -> Response:
        """Issue an access token to a client that proves itself by HTTP Basic or in the body."""
        return self.ask(request)


class Revocation(OAuthEndpoint):
    """The revocation endpoint."""

    act = "create_revocation_response"

    @operation(
        "revokeToken",
        tag=TAG,
        answers={200: None},
        request=TokenField,
        request_example={"token": TOKEN_EXAMPLE["access_token"]},
        errors=ERRORS,
        shape="oauth",
        security=CLIENT_SECRET,
    )
    def post(self, request: Request) -> Response:
        """Revoke one of the client's own tokens; any other text is answered alike and has no effect."""
        return self.ask(request)


class TokenIntrospection(OAuthEndpoint):
    """The introspection endpoint."""

    act = "create_introspect_response"

    @operation(
        "introspectToken",
        tag=TAG,
        answers={200: Introspection},
        example=INTROSPECTION_EXAMPLE,
        request=TokenField,
        request_example={"token": TOKEN_EXAMPLE["access_token"]},
        errors=ERRORS,
        shape="oauth",
        security=CLIENT_SECRET,
    )
    def post(self, request: Request) -> Response:
        """Say what one of the client's own tokens may do now; any other is not active."""
        return self.ask(request)


@cache
def _server() -> Any:
    return oauth2_settings.OAUTH2_SERVER_CLASS(ClientValidator(), **oauth2_settings.server_kwargs)


def _headers(request: Request) -> dict[str, str]:
    """Return the headers that the validator reads, with the source address and the request id."""
    sent = {name: request.META.get(name, "") for name in (REMOTE_ADDRESS, REQUEST_ID)}
    return sent | {"Authorization": request.headers.get("Authorization", "")}
