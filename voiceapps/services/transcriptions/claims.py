"""Transcriptions at work: accounts take turns, what came of a claim is stored once, and one whose worker died is given back once.

What a worker has begun is in the row, and when: that tells its claim from others' of the same row. A worker that comes too late, as its
row was given back, begun by another one, deleted or ordered anew, changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import F, Max, QuerySet
from django.utils import timezone

from voiceapps.choices import TranscriptionStatus
from voiceapps.models import Account, Transcription
from voiceapps.rules.transcripts import Transcript
from voiceapps.services import recordings, webhooks

MAX_RUNNING = 2
"""Of one account."""
MAX_TRIES = 2
MAX_LOOKED_AT = 500
"""Accounts that one claim looks at."""
SWEPT_AT_ONCE = 1_000
BASE_SECONDS = 60.0
GRACE = timedelta(seconds=60)
"""How long a worker may take to store what came of it, before it is taken for dead."""
REMEMBERED = timedelta(hours=1)
"""An account that had no turn for so long comes first."""

Outcome = Transcript | TranscriptionStatus
"""What was understood, or why nothing was."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A recording to be written down now."""

    transcription_id: str
    began_at: datetime
    path: Path
    seconds: float
    """How long that may take."""


def claim() -> Planned | None:
    """Claim the transcription whose turn it is; None where none waits for which there is a place."""
    while (row := _begin_next()) is not None:
        path = recordings.file_of(row.recording)
        planned = Planned(row.transcription_id, row.began_at or timezone.now(), path or Path(), _seconds(row))
        if path is not None:
            return planned
        store(planned, TranscriptionStatus.ERROR)
    return None


def give_back(claimed: Iterable[Planned]) -> None:
    """Have transcriptions that were claimed made by another process; that counts as no try."""
    for planned in claimed:
        _running(planned).update(status=TranscriptionStatus.NONE, began_at=None, lost_at=None, tries=F("tries") - 1)


def still_mine(claimed: Collection[Planned]) -> set[Planned]:
    """Return which claims stand: their rows are neither deleted, ended nor begun anew by others."""
    rows = Transcription.objects.filter(pk__in=[planned.transcription_id for planned in claimed], status=TranscriptionStatus.PROCESSING)
    began_at = dict(rows.values_list("pk", "began_at"))
    return {planned for planned in claimed if began_at.get(planned.transcription_id) == planned.began_at}


def store(planned: Planned, outcome: Outcome) -> None:
    """Store what came of a claim, and have it told, unless the transcription has ended, waits again, is another's or is gone."""
    _end(_running(planned), planned.transcription_id, outcome)


def sweep() -> None:
    """Give back the transcriptions whose worker has died, and fail those that have had their tries."""
    lost = Transcription.objects.filter(status=TranscriptionStatus.PROCESSING, lost_at__lt=timezone.now())
    lost.filter(tries__lt=MAX_TRIES).update(status=TranscriptionStatus.NONE, began_at=None, lost_at=None)
    for transcription_id in list(lost.values_list("pk", flat=True)[:SWEPT_AT_ONCE]):
        _end(lost.filter(pk=transcription_id), transcription_id, TranscriptionStatus.ERROR)


def _running(planned: Planned) -> QuerySet[Transcription]:
    """Return the row of a claim, none if that is no longer its own."""
    rows = Transcription.objects.filter(pk=planned.transcription_id, status=TranscriptionStatus.PROCESSING)
    return rows.filter(began_at=planned.began_at)


def _end(running: QuerySet[Transcription], transcription_id: str, outcome: Outcome) -> None:
    """End a transcription that is among the running ones, and have that told."""
    status, clips = (TranscriptionStatus.AVAILABLE, str(outcome.kept())) if isinstance(outcome, Transcript) else (outcome, "")
    with transaction.atomic():
        if running.update(status=status, clips=clips, ended_at=timezone.now(), lost_at=None):
            webhooks.queue_transcription(transcription_id)


def _begin_next() -> Transcription | None:
    return next((row for account_id in _turns() if (row := _begin(account_id)) is not None), None)


def _turns() -> list[str]:
    """Return the accounts for which something waits, the one that has waited longest for a turn first."""
    waiting = Transcription.objects.filter(status=TranscriptionStatus.NONE).order_by()
    accounts = list(waiting.values_list("account", flat=True).distinct()[:MAX_LOOKED_AT])
    begun = Transcription.objects.filter(account__in=accounts, began_at__gte=timezone.now() - REMEMBERED).order_by()
    last: dict[str, datetime] = dict(begun.values_list("account").annotate(Max("began_at")))
    return sorted(accounts, key=lambda account: last[account].timestamp() if account in last else 0.0)


def _begin(account_id: str) -> Transcription | None:
    """Mark the oldest transcription of an account as begun and return it; None where none waits, or too many run."""
    with transaction.atomic():
        # Two workers that claim for one account are counted one after the other.
        Account.objects.select_for_update(no_key=True).get(pk=account_id)
        rows = Transcription.objects.filter(account=account_id)
        if rows.filter(status=TranscriptionStatus.PROCESSING).count() >= MAX_RUNNING:
            return None
        waiting = rows.filter(status=TranscriptionStatus.NONE).select_related("recording").defer(*Transcription.SECRETS, "clips")
        row = waiting.order_by("ordered_at", "pk").first()
        return row if row is not None and _turn(row, timezone.now()) else None


def _turn(row: Transcription, now: datetime) -> bool:
    """Mark a transcription as begun; False if it is gone by now."""
    lost_at = now + timedelta(seconds=_seconds(row)) + GRACE
    waiting = Transcription.objects.filter(pk=row.pk, status=TranscriptionStatus.NONE)
    row.began_at = now
    return bool(waiting.update(status=TranscriptionStatus.PROCESSING, began_at=now, lost_at=lost_at, tries=F("tries") + 1))


def _seconds(row: Transcription) -> float:
    return BASE_SECONDS + 2 * row.recording.duration_ms / 1000
