"""Refused attempts: those of one source, for one reason, within one minute are one row with a count.

Strangers can make the table grow. So each minute has a bounded number of rows that name their source, and one more for the attempts of
all further sources.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import reduce
from hashlib import blake2b
from ipaddress import IPv4Address
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from voiceapps.choices import FigureKind
from voiceapps.daemon.bulk import BulkInsert
from voiceapps.models import RefusedAttempt, VoiceApplication
from voiceapps.rules.reports import RefusalSeen
from voiceapps.services.call_rows import storable
from voiceapps.services.figures import marks

MINUTE_SECONDS = 60
MAX_SOURCES = 100
"""Rows of one application, reason and minute that name their source: enough to see who calls. Writers at once may exceed it a little."""
MAX_ROWS = 200_000
"""Rows kept of one application, or of none: more than a flood for one reason brings in a day."""
SWEPT_AT_ONCE = 1_000
"""Rows that one statement deletes, so that other writers hardly wait for it."""
_GROUPS_AT_ONCE = 50
_FURTHER = bytes(4)
"""The source in the key of a row that names none: 0.0.0.0 is nobody's address."""
_LAST = b"\xff" * 4

_UPSERT = BulkInsert(RefusedAttempt, key=("key",), update=("last_at",), add=("count",))


def add(reports: Sequence[RefusalSeen]) -> None:
    """Add attempts to the rows of their minutes; a report without a source is about one of many."""
    groups = [_group(report) for report in reports]
    named, accounts = _named(groups), _accounts(reports)
    rows: dict[bytes, dict[str, Any]] = {}
    for report, group in zip(reports, groups, strict=True):
        key = _key(report, group, named[group])
        row = rows[key] if key in rows else rows.setdefault(key, _row(report, key, accounts))
        row["count"] += report.count
        row["last_at"] = max(row["last_at"], _when(report.last_at))
    # Sorted: two writers that lock rows in one order never wait for each other.
    _UPSERT.write([rows[key] for key in sorted(rows)])
    marks.touch(FigureKind.REFUSALS, [report.first_at for report in reports])


def sweep(keep: timedelta) -> int:
    """Delete rows that are older than `keep`, and the oldest of an application that has more than `MAX_ROWS`; return their number."""
    removed = _delete_oldest(RefusedAttempt.objects.filter(last_at__lt=timezone.now() - keep))
    crowded = RefusedAttempt.objects.order_by().values_list("application").annotate(rows=Count("pk")).filter(rows__gt=MAX_ROWS)
    for application, rows in list(crowded):
        removed += _delete_oldest(RefusedAttempt.objects.filter(application=application), rows - MAX_ROWS)
    return removed


def _delete_oldest(rows: QuerySet[RefusedAttempt], count: int | None = None) -> int:
    """Delete the oldest rows, `count` of them or all, and return their number."""
    removed = 0
    while count is None or removed < count:
        most = SWEPT_AT_ONCE if count is None else min(SWEPT_AT_ONCE, count - removed)
        pks = list(rows.order_by("last_at", "pk").values_list("pk", flat=True)[:most])
        if not pks:
            break
        removed += RefusedAttempt.objects.filter(pk__in=pks).delete()[0]
    return removed


def _group(report: RefusalSeen) -> bytes:
    """Return minute, application and reason, with which a key begins."""
    minute = int(report.first_at) // MINUTE_SECONDS
    what = f"{report.application_id or ''} {report.reason.value}".encode()
    return minute.to_bytes(4, "big") + blake2b(what, digest_size=8).digest()


def _named(groups: Iterable[bytes]) -> dict[bytes, set[bytes]]:
    """Return the keys of the rows that name their source, by group."""
    named: dict[bytes, set[bytes]] = {group: set() for group in groups}
    distinct = list(named)
    for start in range(0, len(distinct), _GROUPS_AT_ONCE):
        ranges = (Q(key__gt=group + _FURTHER, key__lte=group + _LAST) for group in distinct[start : start + _GROUPS_AT_ONCE])
        for found in RefusedAttempt.objects.filter(reduce(operator.or_, ranges)).order_by().values_list("key", flat=True):
            key = bytes(found or b"")
            named[key[: -len(_FURTHER)]].add(key)
    return named


def _accounts(reports: Sequence[RefusalSeen]) -> Mapping[str, str]:
    """Return the accounts of the applications that were called."""
    called = {report.application_id for report in reports if report.application_id}
    rows = VoiceApplication.objects.filter(pk__in=called).order_by().values_list("pk", "account_id") if called else ()
    return {str(pk): account for pk, account in rows}


def _key(report: RefusalSeen, group: bytes, named: set[bytes]) -> bytes:
    """Return the key of a report's row; a new source is added to those that are named while there is room."""
    key = group + (IPv4Address(report.source_ip).packed if report.source_ip else _FURTHER)
    if key in named:
        return key
    if key.endswith(_FURTHER) or len(named) >= MAX_SOURCES:
        return group + _FURTHER
    named.add(key)
    return key


def _row(report: RefusalSeen, key: bytes, accounts: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns of a row that its first report determines, with nothing counted yet."""
    is_named = not key.endswith(_FURTHER)
    return {
        "key": key,
        "application_id": report.application_id,
        "account_id": accounts.get(report.application_id or "", ""),
        "source_ip": report.source_ip if is_named else None,
        "country": (report.country or "") if is_named else "",
        "reason": report.reason.value,
        "status": report.status,
        "count": 0,
        "first_at": _when(report.first_at),
        "last_at": _when(report.last_at),
        "request_user": storable(report.request_user)[:256],
        "sip_call_id": storable(report.sip_call_id)[:512],
        "user_agent": storable(report.user_agent)[:256],
        "trace": [asdict(result) for result in report.trace],
    }


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
