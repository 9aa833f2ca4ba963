"""Refused attempts: a burst of similar attempts is one row with a count."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import F

from voiceapps.models import RefusedAttempt
from voiceapps.rules.reports import RefusalSeen
from voiceapps.services.call_rows import storable

# Attempts that follow each other within this time are one burst.
BURST_SECONDS = 60.0


def add(report: RefusalSeen) -> None:
    """Add the attempts to the burst that they belong to, or start a new one."""
    first_at = datetime.fromtimestamp(report.first_at, UTC)
    last_at = datetime.fromtimestamp(report.last_at, UTC)
    burst = RefusedAttempt.objects.filter(
        application=UUID(report.application_id) if report.application_id else None,
        source_ip=report.source_ip,
        reason=report.reason.value,
        last_at__gte=first_at - timedelta(seconds=BURST_SECONDS),
    ).first()
    if burst:
        RefusedAttempt.objects.filter(pk=burst.pk).update(count=F("count") + report.count, last_at=last_at)
        return
    RefusedAttempt.objects.create(
        application_id=report.application_id,
        source_ip=report.source_ip,
        country=report.country or "",
        reason=report.reason.value,
        status=report.status,
        count=report.count,
        first_at=first_at,
        last_at=last_at,
        request_user=storable(report.request_user)[:256],
        sip_call_id=storable(report.sip_call_id)[:512],
        user_agent=storable(report.user_agent)[:256],
        trace=[asdict(result) for result in report.trace],
    )
