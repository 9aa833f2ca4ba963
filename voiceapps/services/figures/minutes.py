"""The figures of minutes, computed from rows by the database: again and again, until nothing of a minute changes any more."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, DurationField, ExpressionWrapper, F, Model, Q, Sum
from django.utils import timezone

from voiceapps.choices import FigureKind
from voiceapps.models import Call, CallMinute, RefusalMinute, RefusedAttempt, TouchedMinute, WebhookAttempt, WebhookMinute
from voiceapps.models.figures import ALL_ACCOUNTS, ALL_APPLICATIONS, BUCKET_NAMES, NO_APPLICATION
from voiceapps.rules.diagnosis.histogram import BOUNDS_MS, from_cumulated
from voiceapps.services.figures.marks import MINUTE_SECONDS, minute_of

MAX_AT_ONCE = 500
"""Minutes that one run computes, the newest first: the others wait for the next run."""
SWEPT_AT_ONCE = 1_000
_NOTHING = timedelta(0)

Key = tuple[str, UUID, str]
"""Account, application, and what ended the calls, why attempts were refused, or which event was sent."""
Counted = tuple[str, UUID, str, Mapping[str, int]]
"""The same, with the numbers."""


def roll_up() -> int:
    """Compute the figures of the minutes that were touched, each in a transaction of its own; return their number.

    It may be run any number of times, and by any number of workers: a minute's figures depend on rows alone.
    """
    touched = TouchedMinute.objects.order_by("-minute", "kind").values_list("kind", "minute").distinct()[:MAX_AT_ONCE]
    return sum(_compute(FigureKind(kind), minute) for kind, minute in list(touched))


def sweep(keep: timedelta) -> int:
    """Delete the figures of minutes that are older than `keep` and return the number of rows."""
    oldest = minute_of((timezone.now() - keep).timestamp())
    return sum(_delete_before(table, oldest) for table, _ in _COUNTED.values())


@transaction.atomic
def _compute(kind: FigureKind, minute: int) -> bool:
    # Marks first: what is written after this statement has a mark that stays. A worker that comes second waits here, and finds none.
    if not TouchedMinute.objects.filter(kind=kind, minute=minute).delete()[0]:
        return False
    table, count = _COUNTED[kind]
    table._default_manager.filter(minute=minute).delete()
    table._default_manager.bulk_create(count(minute))
    return True


def _delete_before(table: type[Model], oldest: int) -> int:
    rows, removed = table._default_manager.filter(minute__lt=oldest), 0
    while pks := list(rows.order_by("minute").values_list("pk", flat=True)[:SWEPT_AT_ONCE]):
        removed += table._default_manager.filter(pk__in=pks).delete()[0]
    return removed


def _within(minute: int) -> tuple[datetime, datetime]:
    begin = datetime.fromtimestamp(minute * MINUTE_SECONDS, UTC)
    return begin, begin + timedelta(seconds=MINUTE_SECONDS)


def _calls(minute: int) -> list[Model]:
    begin, end = _within(minute)
    setup = ExpressionWrapper(F("answered_at") - F("started_at"), DurationField())
    talk = ExpressionWrapper(F("ended_at") - F("answered_at"), DurationField())
    rows = Call.objects.filter(started_at__gte=begin, started_at__lt=end).annotate(setup=setup, talk=talk)
    counted = rows.order_by().values("account_id", "application_id", "end_reason")
    counted = counted.annotate(
        calls=Count("pk"),
        answered=Count("answered_at"),
        talked=Count("talk"),
        # Clocks of two nodes differ: a talk of less than nothing is none.
        talk_time=Sum("talk", filter=Q(talk__gt=_NOTHING)),
        **{f"most_{bound}": Count("pk", filter=Q(setup__lte=timedelta(milliseconds=bound))) for bound in BOUNDS_MS},
    )
    return [
        CallMinute(minute=minute, account_id=account, application_id=application, end_reason=reason, **numbers)
        for (account, application, reason), numbers in _with_sums(_call_numbers(counted))
    ]


def _call_numbers(counted: Iterable[Mapping[str, Any]]) -> Iterator[Counted]:
    for row in counted:
        numbers = {
            "calls": row["calls"],
            "answered": row["answered"],
            "talked": row["talked"],
            "talk_ms": (row["talk_time"] or _NOTHING) // timedelta(milliseconds=1),
            **_buckets(row, row["answered"]),
        }
        yield row["account_id"], row["application_id"] or NO_APPLICATION, row["end_reason"], numbers


def _refusals(minute: int) -> list[Model]:
    # A row's key begins with its minute.
    begin, end = minute.to_bytes(4, "big"), (minute + 1).to_bytes(4, "big")
    rows = RefusedAttempt.objects.filter(key__gte=begin, key__lt=end).order_by()
    counted = rows.values("application__account_id", "application_id", "reason").annotate(attempts=Sum("count"))
    numbers = (
        (row["application__account_id"] or "", row["application_id"] or NO_APPLICATION, row["reason"], {"attempts": row["attempts"]})
        for row in counted
    )
    return [
        RefusalMinute(minute=minute, account_id=account, application_id=application, reason=reason, **sums)
        for (account, application, reason), sums in _with_sums(numbers)
    ]


def _webhooks(minute: int) -> list[Model]:
    begin, end = _within(minute)
    rows = WebhookAttempt.objects.filter(at__gte=begin, at__lt=end).order_by().values("delivery__account_id", "delivery__event_type")
    counted = rows.annotate(
        attempts=Count("pk"),
        delivered=Count("pk", filter=Q(status__gte=200, status__lt=300)),
        **{f"most_{bound}": Count("pk", filter=Q(latency_ms__lte=bound)) for bound in BOUNDS_MS},
    )
    numbers = (
        (
            row["delivery__account_id"],
            ALL_APPLICATIONS,
            row["delivery__event_type"],
            {"attempts": row["attempts"], "failures": row["attempts"] - row["delivered"], **_buckets(row, row["attempts"])},
        )
        for row in counted
    )
    return [
        WebhookMinute(minute=minute, account_id=account, event_type=event_type, **sums)
        for (account, _, event_type), sums in _with_sums(numbers)
    ]


def _with_sums(counted: Iterable[Counted]) -> Iterable[tuple[Key, dict[str, int]]]:
    """Return what was counted, and its sums: over the applications of each account, and over all accounts."""
    sums: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for account, application, name, numbers in counted:
        for owner in {(account, application), (account, ALL_APPLICATIONS), (ALL_ACCOUNTS, ALL_APPLICATIONS)}:
            sums[*owner, name].update(numbers)
    return sums.items()


def _buckets(row: Mapping[str, Any], total: int) -> dict[str, int]:
    counts = from_cumulated([row[f"most_{bound}"] for bound in BOUNDS_MS], total)
    return dict(zip(BUCKET_NAMES, counts, strict=True))


_COUNTED: dict[FigureKind, tuple[type[Model], Callable[[int], Sequence[Model]]]] = {
    FigureKind.CALLS: (CallMinute, _calls),
    FigureKind.REFUSALS: (RefusalMinute, _refusals),
    FigureKind.WEBHOOKS: (WebhookMinute, _webhooks),
}
"""Where the figures of each kind are, and how those of a minute are computed."""
