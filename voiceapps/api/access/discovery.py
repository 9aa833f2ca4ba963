"""Public metadata: the keys that verify tokens (RFC 7517) and the authorization server's endpoints (RFC 8414)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from voiceapps.api.access import token_keys
from voiceapps.api.access.endpoints import TAG
from voiceapps.api.openapi import operation
from voiceapps.models.accounts import SCOPES

TOKEN, REVOKE, INTROSPECT = "api/v1/oauth2/token", "api/v1/oauth2/revoke", "api/v1/oauth2/introspect"
JWKS, METADATA = ".well-known/jwks.json", ".well-known/oauth-authorization-server"

_PROOFS = ["client_secret_basic", "client_secret_post"]
_CACHED = {"Cache-Control": "public, max-age=3600"}


def server_metadata(url: str) -> dict[str, object]:
    """Return the metadata of the server at a URL. RFC 8414 requires `response_types_supported`, which is empty here."""
    return {
        "issuer": url,
        "token_endpoint": f"{url}/{TOKEN}",
        "revocation_endpoint": f"{url}/{REVOKE}",
        "introspection_endpoint": f"{url}/{INTROSPECT}",
        "jwks_uri": f"{url}/{JWKS}",
        "scopes_supported": list(SCOPES),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": _PROOFS,
        "revocation_endpoint_auth_methods_supported": _PROOFS,
        "introspection_endpoint_auth_methods_supported": _PROOFS,
    }


class Jwk(serializers.Serializer[Any]):
    """A public key."""

    kty = serializers.CharField()
    use = serializers.CharField()
    alg = serializers.CharField()
    kid = serializers.CharField()
    n = serializers.CharField(required=False, help_text="RSA: the modulus.")
    e = serializers.CharField(required=False, help_text="RSA: the exponent.")
    crv = serializers.CharField(required=False, help_text="EC: the curve.")
    x = serializers.CharField(required=False, help_text="EC: the point.")
    y = serializers.CharField(required=False, help_text="EC: the point.")


class JwkSet(serializers.Serializer[Any]):
    """All keys that verify tokens; the first one signs."""

    keys = Jwk(many=True)


class ServerMetadata(serializers.Serializer[Any]):
    """Where the endpoints are and what they can do."""

    issuer = serializers.URLField()
    token_endpoint = serializers.URLField()
    revocation_endpoint = serializers.URLField()
    introspection_endpoint = serializers.URLField()
    jwks_uri = serializers.URLField()
    scopes_supported = serializers.ListField(child=serializers.CharField())
    response_types_supported = serializers.ListField(child=serializers.CharField())
    grant_types_supported = serializers.ListField(child=serializers.CharField())
    token_endpoint_auth_methods_supported = serializers.ListField(child=serializers.CharField())
    revocation_endpoint_auth_methods_supported = serializers.ListField(child=serializers.CharField())
    introspection_endpoint_auth_methods_supported = serializers.ListField(child=serializers.CharField())


class PublicView(APIView):
    """A view that needs no token."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()


class Jwks(PublicView):
    """The keys."""

    @operation(
        "getTokenKeys",
        tag=TAG,
        answers={200: JwkSet},
        example={
            "keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "AMWmkVn1FgLc0DfX...", "n": "1J-J01R1RwONZJ...", "e": "AQAB"}]
        },
        errors=(),
        shape="oauth",
    )
    def get(self, _request: Request) -> Response:
        """Show the public halves of the keys that sign tokens."""
        return Response({"keys": token_keys.current().public()}, headers=_CACHED)


class Metadata(PublicView):
    """The authorization server."""

    @operation(
        "getServerMetadata",
        tag=TAG,
        answers={200: ServerMetadata},
        example=server_metadata("https://api.example.com"),
        errors=(),
        shape="oauth",
    )
    def get(self, _request: Request) -> Response:
        """Show where the OAuth 2.0 endpoints are."""
        return Response(server_metadata(settings.PUBLIC_URL), headers=_CACHED)
