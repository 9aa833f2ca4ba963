"""Files of calls: a short one is streamed while it is waited for, a long one is written by a worker and kept for a day.

How long a file is going to be is not counted: the walk that finds its calls is begun, and ends as soon as it is too long. A worker that
writes a file holds a lease, which it renews with each part; if it dies, another one begins the file anew. Each of them writes a file of its
own, so that one that was only slow spoils nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from voiceapps.choices import ExportState
from voiceapps.models import CallExport
from voiceapps.paging.call_list import AT_ONCE, Search, lines
from voiceapps.rules.diagnosis.call_filters import CallFilter, read
from voiceapps.rules.diagnosis.filter_fields import Place
from voiceapps.services import audit
from voiceapps.services.announcements import Announcer
from voiceapps.services.audit import Actor
from voiceapps.services.diagnosis import call_files
from voiceapps.services.diagnosis.call_files import Wanted

MAX_STREAMED = 100_000
"""Calls of a file that is waited for."""
MAX_OPEN = 3
"""Files of one operator that are not ended."""
MAX_KEPT = 20
"""Files of one operator, the failed ones included."""
MAX_TRIES = 3
LEASE = timedelta(seconds=60)
KEPT = timedelta(days=1)
NO_WORKER = f"{MAX_TRIES} workers have ended while they wrote it."

OPEN = (ExportState.WAITING, ExportState.RUNNING)


class TooManyExportsError(Exception):
    """The operator has too many files that are not ended, or that are kept."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file to be written now: the number of the try is part of its name."""

    export_id: UUID
    tries: int
    wanted: Wanted


def size_of(asked: CallFilter) -> int | None:
    """Return how many calls fit a filter, None if more than `MAX_STREAMED` calls have to be looked at for that."""
    search, place, found, left = Search(asked), None, 0, MAX_STREAMED + 1
    while left > 0:
        part = search.look(place, newer=False, wanted=min(AT_ONCE, left), most=min(AT_ONCE, left))
        found += len(part.places)
        if part.go_on is None:
            return found
        place, left = part.go_on, left - AT_ONCE
    return None


def stream(wanted: Wanted, query: str, rows: int, *, actor: Actor) -> Iterator[bytes]:
    """Return the parts of a file, a thousand calls each; it is audited before the first one leaves."""
    _audit(actor, wanted, query, rows)
    return call_files.whole(wanted)


def order(operator_id: int, wanted: Wanted, query: str, *, actor: Actor) -> CallExport:
    """Have a worker write a file soon; raises TooManyExportsError."""
    with transaction.atomic():
        rows = list(CallExport.objects.filter(operator=operator_id).values_list("state", flat=True))
        if len(rows) >= MAX_KEPT or sum(state in OPEN for state in rows) >= MAX_OPEN:
            raise TooManyExportsError(operator_id)
        row = CallExport.objects.create(
            operator_id=operator_id,
            query=query,
            file_format=wanted.file_format,
            shows_personal=wanted.shows_personal,
            created_at=timezone.now(),
        )
        _audit(actor, wanted, query, None)
        transaction.on_commit(announcer.put)
    return row


def claim(places: int) -> list[Claimed]:
    """Claim as many files that wait as there are places, and those whose worker has died, the oldest first."""
    now = timezone.now()
    # A lease that ends later than it can was taken before the clock was set back.
    is_free = Q(state=ExportState.WAITING) | Q(state=ExportState.RUNNING) & (Q(leased_until__lte=now) | Q(leased_until__gt=now + LEASE))
    CallExport.objects.filter(is_free, tries__gte=MAX_TRIES).update(state=ExportState.FAILED, problem=NO_WORKER, ended_at=now)
    won = []
    for row in CallExport.objects.filter(is_free).order_by("created_at")[:places]:
        values = {"state": ExportState.RUNNING, "leased_until": now + LEASE, "tries": row.tries + 1, "rows": 0}
        if CallExport.objects.filter(is_free, pk=row.pk, tries=row.tries).update(**values):
            won.append(Claimed(row.pk, row.tries + 1, _wanted(row)))
    return won


class LostError(Exception):
    """Another worker has the file now, or its row is gone."""


class Writing:
    """A file that is being written."""

    def __init__(self, claimed: Claimed) -> None:
        self._claimed = claimed
        self._search = Search(claimed.wanted.asked)
        self._place: Place | None = None
        self._rows = 0
        _directory().mkdir(mode=0o700, exist_ok=True)
        self._path = _part(claimed.export_id, claimed.tries)
        self._path.unlink(missing_ok=True)
        self._path.touch(mode=0o600, exist_ok=False)
        self._append(call_files.begin(claimed.wanted))

    def go_on(self) -> bool:
        """Write one more part and renew the lease; return whether anything is left. Raises LostError, OSError, DatabaseError."""
        found = self._search.look(self._place, newer=False, wanted=AT_ONCE, most=AT_ONCE)
        self._append(call_files.text(self._claimed.wanted, lines(found.places)))
        self._place, self._rows = found.go_on, self._rows + len(found.places)
        if not _held(self._claimed).update(rows=self._rows, leased_until=timezone.now() + LEASE):
            self._path.unlink(missing_ok=True)
            raise LostError(self._claimed.export_id)
        return found.go_on is not None

    def _append(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)


def store(claimed: Claimed, problem: str) -> None:
    """Store that a file is written, or why it is not, unless another worker has it now."""
    part = _part(claimed.export_id, claimed.tries)
    state = ExportState.FAILED if problem else ExportState.ENDED
    with transaction.atomic():
        # The file is there before its row says so.
        if not _held(claimed).update(state=state, problem=problem, ended_at=timezone.now(), leased_until=None) or problem:
            part.unlink(missing_ok=True)
            return
        part.replace(_file(claimed.export_id))
        row = CallExport.objects.select_related("operator").get(pk=claimed.export_id)
        _audit(Actor(f"operator {row.operator.get_username()}"), claimed.wanted, row.query, row.rows)


def give_back(claims: Iterable[Claimed]) -> None:
    """Have files that were begun written by another process; that this one ends is no try."""
    for claimed in claims:
        _held(claimed).update(state=ExportState.WAITING, leased_until=None, tries=F("tries") - 1, rows=0)
        _part(claimed.export_id, claimed.tries).unlink(missing_ok=True)


def drop(operator_id: int) -> None:
    """Have an operator's files gone, those that are being written as well; `sweep` deletes what is on the disk."""
    CallExport.objects.filter(operator=operator_id).delete()


def sweep() -> None:
    """Delete files and rows that are older than a day, and files that have no row any more."""
    now = timezone.now()
    CallExport.objects.filter(created_at__lt=now - KEPT).delete()
    with suppress(FileNotFoundError):
        for path in list(_directory().iterdir()):
            if not _row_of(path).exists():
                path.unlink(missing_ok=True)


def file_of(row: CallExport) -> Path | None:
    """Return the file of an export, None if this machine has none."""
    path = _file(row.pk)
    return path if row.state == ExportState.ENDED and path.is_file() else None


def _wanted(row: CallExport) -> Wanted:
    """Return what a file holds, of the calls that began before it was ordered; its query meant something then."""
    asked = read(dict(parse_qsl(row.query)), row.created_at).found
    if asked is None:
        raise ValueError(row.query)
    return Wanted(replace(asked, until=asked.until or row.created_at), row.file_format, row.shows_personal)


def _held(claimed: Claimed) -> QuerySet[CallExport]:
    return CallExport.objects.filter(pk=claimed.export_id, state=ExportState.RUNNING, tries=claimed.tries)


def _audit(actor: Actor, wanted: Wanted, query: str, rows: int | None) -> None:
    """Record who takes which calls away; the number of a long file's calls is known when it is written."""
    shows = "numbers and addresses" if wanted.shows_personal else "no numbers, no addresses"
    audit.record(actor, "call.export", wanted.file_format, {"filter": query, "rows": rows, "shows": shows})


def _directory() -> Path:
    return Path(settings.EXPORTS_DIR)


def _part(export_id: UUID, tries: int) -> Path:
    return _directory() / f"{export_id}.{tries}.part"


def _file(export_id: UUID) -> Path:
    return _directory() / f"{export_id}.calls"


def _row_of(path: Path) -> QuerySet[CallExport]:
    try:
        return CallExport.objects.filter(pk=UUID(path.name.partition(".")[0]))
    except ValueError:
        return CallExport.objects.none()


def _send() -> None:
    current_app.send_task("voiceapps.tasks.run_exports", retry=False)


announcer = Announcer(_send)
