"""A call that does not exist."""

from __future__ import annotations

import secrets
import uuid

from django.conf import settings
from django.utils import timezone

from voiceapps.models import VoiceApplication
from voiceapps.rules.reports import CallFacts


def made_up_call(application: VoiceApplication, from_uri: str) -> CallFacts:
    """Return what is known of a call that does not exist, from a documentation address (RFC 5737)."""
    return CallFacts(
        call_id=f"c-{secrets.token_hex(4)}-{uuid.uuid4()}",
        application_id=str(application.pk),
        account_id=application.account_id,
        sip_call_id=f"{uuid.uuid4()}@nobody",
        from_uri=from_uri,
        to_uri=application.sip_uri or f"sip:{application.pk}@{settings.SIP_DOMAIN}",
        source_ip="203.0.113.1",
        source_port=5060,
        country=None,
        started_at=timezone.now().timestamp(),
    )
