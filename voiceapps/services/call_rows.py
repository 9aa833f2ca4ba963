"""Make a call's row from its facts, whichever report comes first (D19)."""

from __future__ import annotations

from datetime import UTC, datetime

from voiceapps.models import Call
from voiceapps.rules.records import CallFacts

MAX_URI = 1024
MAX_CALL_ID = 512


def ensure(call: CallFacts) -> None:
    """Create the call unless it is there."""
    Call.objects.get_or_create(
        call_id=call.call_id,
        defaults={
            "account_id": call.account_id,
            "application_id": call.application_id or None,
            "sip_call_id": storable(call.sip_call_id)[:MAX_CALL_ID],
            "from_uri": storable(call.from_uri)[:MAX_URI],
            "to_uri": storable(call.to_uri)[:MAX_URI],
            "source_ip": call.source_ip,
            "source_port": call.source_port,
            "country": call.country or "",
            "started_at": datetime.fromtimestamp(call.started_at, UTC),
        },
    )


def storable(text: str) -> str:
    """Return a text without NUL, which PostgreSQL does not take."""
    return text.replace("\0", "\\0")
