"""System checks: what an operator should know although it stops no start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from voiceapps.models import SipCredential

MAX_NAMED = 20


@register(Tags.database)
def credentials_of_another_realm(databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Warn of the credentials that no longer work because the realm changed (D5)."""
    if not databases:
        return []
    try:
        strange = list(SipCredential.objects.defer("secrets").exclude(realm=settings.SIP_REALM)[:MAX_NAMED])
    except DatabaseError:
        # `migrate` runs the checks before there are tables.
        return []
    return [
        Warning(f"The SIP password of application {row.pk} was made for realm {row.realm}: rotate it.", id="sipuri.W002") for row in strange
    ]
