"""The row of a call, created from its facts by whichever report comes first."""

from __future__ import annotations

from datetime import UTC, datetime

from voiceapps.daemon.bulk import BulkInsert
from voiceapps.models import Call
from voiceapps.rules.diagnosis.numbers import MAX_URI, number_of
from voiceapps.rules.reports import CallFacts

MAX_CALL_ID = 512


_UNLESS_THERE = BulkInsert(Call, key=("call_id",))


def ensure(*calls: CallFacts) -> None:
    """Create the calls that do not exist yet."""
    _UNLESS_THERE.write([call_row(call) for call in calls])


def call_row(call: CallFacts) -> dict[str, object]:
    """Return the columns of a call's row that its facts determine."""
    return {
        "call_id": call.call_id,
        "account_id": call.account_id,
        "application_id": call.application_id or None,
        "sip_call_id": storable(call.sip_call_id)[:MAX_CALL_ID],
        "from_uri": storable(call.from_uri)[:MAX_URI],
        "from_number": number_of(call.from_uri),
        "to_uri": storable(call.to_uri)[:MAX_URI],
        "source_ip": call.source_ip,
        "source_port": call.source_port,
        "country": call.country or "",
        "started_at": datetime.fromtimestamp(call.started_at, UTC),
    }


def storable(text: str) -> str:
    """Return a text with NUL escaped, which PostgreSQL cannot store."""
    return text.replace("\0", "\\0")
