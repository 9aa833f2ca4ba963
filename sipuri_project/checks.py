"""System checks: values that parse but must not go into production."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from mediarelay.config import ranges_overlap
from voiceapps.api.access import token_keys
from voiceapps.models import SipCredential

TAG = "sipuri"
MIN_KEY_BYTES = 32
MAX_NAMED = 20


@register(TAG)
def unsafe_in_production(**_options: Any) -> list[CheckMessage]:
    """Refuse settings that only a lab may have."""
    if settings.SIPURI_ENV != "production":
        return []
    problems: list[CheckMessage] = []
    if settings.WEBHOOK_ALLOW_PRIVATE:
        problems.append(Error("SIPURI_WEBHOOK_ALLOW_PRIVATE lets webhooks reach your own network.", id="sipuri.E001"))
    if settings.MEDIA_ALLOW_PRIVATE:
        problems.append(Error("SIPURI_MEDIA_ALLOW_PRIVATE lets callers point media at your own network.", id="sipuri.E002"))
    if not settings.PUBLIC_URL.startswith("https://"):
        problems.append(Warning("SIPURI_PUBLIC_URL is not https: tokens and passwords travel in the clear.", id="sipuri.W001"))
    if settings.SIP_DOMAIN.endswith(".localhost"):
        problems.append(Error("SIPURI_SIP_DOMAIN is not set: nobody can call a .localhost name.", id="sipuri.E003"))
    return problems


@register(TAG)
def short_keys(**_options: Any) -> list[CheckMessage]:
    """Refuse keys that can be guessed."""
    keys = {
        "SIPURI_SECRET_KEY": settings.SECRET_KEY,
        "SIPURI_NONCE_KEY": settings.SIPURI_NONCE_KEY,
        "SIPURI_ROUTE_KEY": settings.SIPURI_ROUTE_KEY,
        "SIPURI_WEBHOOK_KEY": settings.SIPURI_WEBHOOK_KEY,
    }
    return [
        Error(f"{name} is shorter than {MIN_KEY_BYTES} characters.", id="sipuri.E004")
        for name, value in keys.items()
        if len(value) < MIN_KEY_BYTES
    ]


@register(TAG)
def bad_token_keys(**_options: Any) -> list[CheckMessage]:
    """Refuse keys that cannot sign access tokens."""
    try:
        token_keys.current()
    except ValueError as error:
        return [Error(f"SIPURI_TOKEN_KEYS: {error}.", id="sipuri.E006")]
    return []


@register(TAG)
def port_pools(**_options: Any) -> list[CheckMessage]:
    """Refuse media port ranges that overlap on one address."""
    same_address = settings.MEDIA_EXTERNAL[0] == settings.MEDIA_INTERNAL[0]
    if same_address and ranges_overlap(settings.RTP_PORTS, settings.RTP_INTERNAL_PORTS):
        return [Error("SIPURI_RTP_PORTS and SIPURI_RTP_INTERNAL_PORTS overlap on one address.", id="sipuri.E005")]
    return []


@register(TAG, Tags.database)
def credentials_of_another_realm(databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Warn of the credentials that no longer work because the realm changed (D5)."""
    if not databases:
        return []
    try:
        strange = list(SipCredential.objects.exclude(realm=settings.SIP_REALM)[:MAX_NAMED])
    except DatabaseError:
        # `migrate` runs the checks before there are tables.
        return []
    return [
        Warning(f"The SIP password of application {row.pk} was made for realm {row.realm}: rotate it.", id="sipuri.W002") for row in strange
    ]
