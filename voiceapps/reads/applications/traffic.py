"""What comes to an application, as columns beside its row: sums of few figures of minutes, and one step into an index of calls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from voiceapps.models import Call, CallMinute, OpenCall, RefusalMinute


def sum_since(table: type[Model], column: str, span: timedelta, now: datetime) -> Coalesce:
    """Return the sum of a column of `CallMinute` or `RefusalMinute` over the minutes of a span, for the application of each row."""
    since = int((now - span).timestamp()) // 60
    own = table._default_manager.filter(account_id=OuterRef("account_id"), application_id=OuterRef("pk"), minute__gt=since)
    sums = own.order_by().values("application_id").annotate(sum_=Sum(column)).values("sum_")
    return Coalesce(Subquery(sums, output_field=IntegerField()), Value(0))


def calls_since(span: timedelta, now: datetime) -> Coalesce:
    """Return the number of calls that began within a span."""
    return sum_since(CallMinute, "calls", span, now)


def refusals_since(span: timedelta, now: datetime) -> Coalesce:
    """Return the number of attempts that were refused within a span."""
    return sum_since(RefusalMinute, "attempts", span, now)


def last_call() -> Subquery:
    """Return when the newest call began, null if there is none."""
    return Subquery(_calls().values("started_at")[:1])


def calls_up() -> Coalesce:
    """Return the number of calls that are up."""
    own = OpenCall.objects.filter(account_id=OuterRef("account_id"), application_id=OuterRef("pk"))
    counts = own.order_by().values("application_id").annotate(count_=Count("pk")).values("count_")
    return Coalesce(Subquery(counts, output_field=IntegerField()), Value(0))


def _calls() -> QuerySet[Any]:
    return Call.objects.filter(application=OuterRef("pk")).order_by("-started_at", "-call_id")
