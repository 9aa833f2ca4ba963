"""The calls that our own phone placed to an application of late, with what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voiceapps.models import PlacedCall
from voiceapps.rules.trials.placed_call import Finding, Outcome

MAX_SHOWN = 10


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """One of them."""

    placed_call_id: UUID
    at: datetime
    state: str
    finding: Finding | None
    """None until the call has ended."""


def placed_lines(application_id: UUID) -> tuple[PlacedLine, ...]:
    """Return the newest, newest first."""
    rows = PlacedCall.objects.filter(application=application_id).only("created_at", "state", "outcome").order_by("-created_at")
    return tuple(
        PlacedLine(row.pk, row.created_at, row.state, Outcome.load(row.outcome).finding if row.outcome else None)
        for row in rows[:MAX_SHOWN]
    )
