"""One application as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F

from voiceapps.models import VoiceApplication
from voiceapps.reads.applications.traffic import calls_since, calls_up, last_call, refusals_since

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change of an application's SIP URI or password hits."""

    calls_up: int
    calls: int
    """Placed in the last hour, as the refusals are counted."""
    refusals: int

    @property
    def attempts(self) -> int:
        """How often it was called in the last hour."""
        return self.calls + self.refusals


@dataclass(frozen=True, slots=True)
class ApplicationHead:
    """What stands above every tab."""

    application_id: UUID
    name: str
    account_id: str
    account_name: str
    sip_uri: str | None
    sip_user: str | None
    by_password: bool
    ranges: int
    regions: tuple[str, ...]
    password_made_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    day_calls: int
    day_refusals: int
    last_call: datetime | None
    impact: Impact


def read_application(application_id: UUID, account_id: str | None, now: datetime) -> tuple[ApplicationHead, VoiceApplication] | None:
    """Return an application, of an account or of any, and its row without its secrets, by one query; None if there is none."""
    figures = {
        "password_made_at_": F("credential__rotated_at"),
        "calls_up_": calls_up(),
        "hour_calls_": calls_since(HOUR, now),
        "hour_refusals_": refusals_since(HOUR, now),
        "day_calls_": calls_since(DAY, now),
        "day_refusals_": refusals_since(DAY, now),
        "last_call_": last_call(),
    }
    rows = VoiceApplication.objects.select_related("account").defer(*VoiceApplication.SECRETS).annotate(**figures)
    own = {} if account_id is None else {"account_id": account_id}
    row = rows.filter(pk=application_id, **own).first()
    return None if row is None else (_head(row), row)


def _head(row: Any) -> ApplicationHead:
    return ApplicationHead(
        application_id=row.pk,
        name=row.name,
        account_id=row.account_id,
        account_name=row.account.name,
        sip_uri=row.sip_uri,
        sip_user=row.sip_user,
        by_password=row.password_auth_enabled,
        ranges=len(row.allowed_source_ips),
        regions=tuple(row.allowed_regions),
        password_made_at=row.password_made_at_,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
        day_calls=row.day_calls_,
        day_refusals=row.day_refusals_,
        last_call=row.last_call_,
        impact=Impact(row.calls_up_, row.hour_calls_, row.hour_refusals_),
    )
