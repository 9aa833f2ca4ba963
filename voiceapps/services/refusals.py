"""Keep refused attempts (D19): a burst of like attempts is one row with a count."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import F

from voiceapps.models import RefusedAttempt
from voiceapps.rules.records import RefusalSeen
from voiceapps.services.call_rows import storable

# Attempts that follow each other within this time are one burst.
BURST_SECONDS = 60.0


def add(record: RefusalSeen) -> None:
    """Count the attempts in the burst they belong to, or start a new one."""
    first_at = datetime.fromtimestamp(record.first_at, UTC)
    last_at = datetime.fromtimestamp(record.last_at, UTC)
    burst = RefusedAttempt.objects.filter(
        application=UUID(record.application_id) if record.application_id else None,
        source_ip=record.source_ip,
        reason=record.reason.value,
        last_at__gte=first_at - timedelta(seconds=BURST_SECONDS),
    ).first()
    if burst:
        RefusedAttempt.objects.filter(pk=burst.pk).update(count=F("count") + record.count, last_at=last_at)
        return
    RefusedAttempt.objects.create(
        application_id=record.application_id,
        source_ip=record.source_ip,
        country=record.country or "",
        reason=record.reason.value,
        status=record.status,
        count=record.count,
        first_at=first_at,
        last_at=last_at,
        request_user=storable(record.request_user)[:256],
        sip_call_id=storable(record.sip_call_id)[:512],
        user_agent=storable(record.user_agent)[:256],
        trace=[asdict(result) for result in record.trace],
    )
