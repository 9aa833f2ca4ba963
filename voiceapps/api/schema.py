"""Describe envelope and errors for openapi.json."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from voiceapps.api.serializers import VoiceApplicationData

LINK = inline_serializer(
    "Link", {"href": serializers.URLField(), "rel": serializers.CharField(), "method": serializers.CharField()}, many=True
)
ERROR = inline_serializer(
    "Error",
    {
        "id": serializers.UUIDField(),
        "type": serializers.CharField(),
        "code": serializers.CharField(),
        "description": serializers.CharField(),
        "source": inline_serializer("ErrorSource", {"field": serializers.CharField()}, required=False),
    },
    many=True,
)


def envelope_of(name: str, data: serializers.Field[Any, Any, Any, Any]) -> serializers.Serializer[Any]:
    """Return the schema of an answer that carries `data`."""
    return inline_serializer(name, {"links": LINK, "data": data, "errors": ERROR})


ONE = envelope_of("VoiceApplicationEnvelope", VoiceApplicationData())
MANY = envelope_of("VoiceApplicationsEnvelope", VoiceApplicationData(many=True))
ERRORS = dict.fromkeys((400, 401, 403, 404, 415), envelope_of("ErrorEnvelope", serializers.JSONField(allow_null=True)))
