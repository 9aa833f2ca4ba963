"""What the console shows of traffic: the last hour in one query, and the last day in three, from the figures of minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import CharField, Count, DateTimeField, F, IntegerField, Min, Model, QuerySet, Sum, Value
from django.db.models.functions import Cast

from voiceapps.models import Ban, CallMinute, CallVerdict, FailingHost, Node, OpenCall, RefusalMinute, WebhookMinute
from voiceapps.models.figures import ALL_ACCOUNTS, ALL_APPLICATIONS, BUCKET_NAMES
from voiceapps.models.nodes import CLOCKS_DIFFER
from voiceapps.reads.json_array import JsonArray
from voiceapps.reads.prepared import Asked, Prepared
from voiceapps.rules.admission import Reason
from voiceapps.rules.diagnosis.attention import NodeFact, Unheard
from voiceapps.rules.diagnosis.histogram import BUCKETS
from voiceapps.rules.diagnosis.traffic import Traffic
from voiceapps.rules.diagnosis.verdicts import VerdictCode
from voiceapps.selectors import node_health

HOUR_MINUTES = 60
DAY_MINUTES = 24 * 60
QUARTER_MINUTES = 15
UNHEARD = tuple(code.value for code in (VerdictCode.CALLER_UNHEARD, VerdictCode.CALLER_DEAF, VerdictCode.NO_AUDIO))
KNOWN_FOR = timedelta(days=1)
"""A process that has been silent for longer is forgotten."""


@dataclass(frozen=True, slots=True)
class CallPoint:
    """The calls that began in one minute, or in the minutes from that one on, and have one end."""

    minute: int
    end_reason: str
    """Empty for calls that go on."""
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class RefusalPoint:
    """The attempts that were refused in one minute for one reason."""

    minute: int
    reason: Reason
    attempts: int


@dataclass(frozen=True, slots=True)
class WebhookFigures:
    """The requests of one event."""

    event_type: str
    attempts: int
    failures: int
    latencies: tuple[int, ...]
    """By the buckets of a histogram."""


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """The last hour, and what is up now."""

    minute: int
    """The present one, the last of the hour."""
    open_calls: int
    nodes: tuple[NodeFact, ...]
    bans: int
    resting_hosts: int
    resting_host: str
    calls: tuple[CallPoint, ...]
    setups: tuple[int, ...]
    """The times from INVITE to answer, by the buckets of a histogram."""
    refusals: tuple[RefusalPoint, ...]
    webhooks: tuple[WebhookFigures, ...]
    unheard: tuple[Unheard, ...]
    """By application."""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The last day, in quarters of an hour."""

    quarter: int
    """The first minute of the present one."""
    calls: tuple[CallPoint, ...]
    refusals: dict[Reason, int]
    webhooks: tuple[WebhookFigures, ...]


class _Row(NamedTuple):
    """One row of the one query."""

    data: dict[str, Any]
    at: datetime | None


def live_figures(account_id: str | None, now: datetime) -> LiveFigures:
    """Return the last hour and what is up now, of an account or of all, by one query: pages ask for it every other second."""
    minute = int(now.timestamp()) // 60
    parts = _read(account_id, now, minute - HOUR_MINUTES)
    return LiveFigures(
        minute=minute,
        open_calls=_count(parts["open"]),
        nodes=tuple(sorted((_node(row, now) for row in parts["node"]), key=lambda node: (node.role, node.name))),
        bans=_count(parts["ban"]),
        resting_hosts=_count(parts["host"]),
        resting_host=next((row.data["host"] for row in parts["host"]), None) or "",
        calls=tuple(_call_point(**row.data) for row in parts["call"]),
        setups=tuple(row.data.get(name) or 0 for row in parts["setup"][:1] for name in BUCKET_NAMES) or (0,) * BUCKETS,
        refusals=tuple(RefusalPoint(row.data["minute"], Reason(row.data["reason"]), row.data["attempts"]) for row in parts["refusal"]),
        webhooks=tuple(sorted((_webhooks(**row.data) for row in parts["webhook"]), key=lambda one: one.event_type)),
        unheard=tuple(_unheard(**row.data) for row in parts["unheard"]),
    )


def day_figures(account_id: str | None, now: datetime) -> DayFigures:
    """Return the last day, of an account or of all."""
    quarter = int(now.timestamp()) // 60 // QUARTER_MINUTES * QUARTER_MINUTES
    since = quarter - DAY_MINUTES
    calls = _of(CallMinute, account_id, since).annotate(quarter=F("minute") / QUARTER_MINUTES).values("end_reason", "quarter")
    refusals = _of(RefusalMinute, account_id, since).values_list("reason").annotate(count=Sum("attempts"))
    webhooks = _of(WebhookMinute, account_id, since).values("event_type").annotate(**_sums(_WEBHOOK_NAMES)).order_by("event_type")
    points = (row | {"minute": row.pop("quarter") * QUARTER_MINUTES} for row in calls.annotate(**_sums(_CALL_NAMES)))
    return DayFigures(
        quarter=quarter,
        calls=tuple(_call_point(**point) for point in points),
        refusals={Reason(reason): attempts for reason, attempts in refusals},
        webhooks=tuple(_webhooks(**row) for row in webhooks),
    )


_CALL_NAMES = ("calls", "answered", "talked", "talk_ms")
_WEBHOOK_NAMES = ("attempts", "failures", *BUCKET_NAMES)
_TIMES = ("now", "soon", "known_since", "hour_ago")


def _read(account_id: str | None, now: datetime, since: int) -> dict[str, list[_Row]]:
    """Return the rows of the one query, by the part that they belong to; a part that only counts has one, or none."""
    names, statement = _live_statement(is_bound=account_id is not None)
    found: dict[str, list[_Row]] = {part: [] for part in names}
    times = (now, now + CLOCKS_DIFFER, now - KNOWN_FOR, now - timedelta(minutes=HOUR_MINUTES))
    for part, data, at in statement.rows(account_id=account_id, since=since, **dict(zip(_TIMES, times, strict=True))):
        found[part].append(_Row(dict(zip(names[part], data, strict=True)), at))
    return found


@cache
def _live_statement(*, is_bound: bool) -> tuple[dict[str, tuple[str, ...]], Prepared]:
    """Return the one query, and the names of what each part reads."""
    parts = _live_parts(is_bound=is_bound)
    first, *others = (rows.annotate(part_=Value(part)).values_list("part_", "data_", "at_") for part, (_, rows) in parts.items())
    return {part: names for part, (names, _) in parts.items()}, Prepared(first.union(*others, all=True))


def _live_parts(*, is_bound: bool) -> dict[str, tuple[tuple[str, ...], Any]]:
    account_id = Asked("account_id", CharField()) if is_bound else None
    since, now, soon, known_since, hour_ago = Asked("since", IntegerField()), *(Asked(name, DateTimeField()) for name in _TIMES)
    of_account = {"account_id": account_id} if is_bound else {}
    nodes, hosts = Node.objects.filter(seen_at__gte=known_since), FailingHost.objects.filter(rests_until__isnull=False, **of_account)
    calls, refusals = _of(CallMinute, account_id, since), _of(RefusalMinute, account_id, since)
    webhooks = _of(WebhookMinute, account_id, since).values("event_type")
    unheard = CallVerdict.objects.filter(code__in=UNHEARD, started_at__gt=hour_ago, **of_account)
    return {
        # First, because the first part says of what kind each column is.
        "node": _part(nodes, *("name", "role", "state", "load", "ports_used", "ports_total"), at=F("seen_at")),
        "open": _part(_together(OpenCall.objects.filter(**of_account)), count=Count("pk")),
        "ban": _part(_together(Ban.that_last(now, soon)), count=Count("pk")),
        "host": _part(_together(hosts), count=Count("pk"), host=Min("host")),
        "call": _part(calls.values("minute", "end_reason"), "minute", "end_reason", **_sums(_CALL_NAMES)),
        "setup": _part(_together(calls), **_sums(BUCKET_NAMES)),
        "refusal": _part(refusals.values("minute", "reason"), "minute", "reason", attempts=Sum("attempts")),
        "webhook": _part(webhooks, "event_type", **_sums(_WEBHOOK_NAMES)),
        "unheard": _part(
            unheard.values("application_id", "call__application__name"),
            count=Count("pk"),
            application=Cast("application_id", CharField()),
            name=F("call__application__name"),
        ),
    }


def _part(rows: QuerySet[Any], *names: str, at: Any = None, **figures: Any) -> tuple[tuple[str, ...], Any]:
    """Return names, and rows with what they name as one column of JSON and one of times, so that parts of any kind are read together."""
    data = JsonArray(*names, *figures.values())
    return (*names, *figures), rows.order_by().annotate(data_=data, at_=Cast(Value(None), DateTimeField()) if at is None else at)


def _together(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Have what is counted of rows counted of all of them."""
    return rows.order_by().values(all_=Value(1))


def _sums(names: Sequence[str]) -> dict[str, Any]:
    return {name: Sum(name) for name in names}


def _count(rows: Sequence[_Row]) -> int:
    return sum(row.data["count"] for row in rows)


def _of(table: type[Model], account_id: str | Asked | None, since: int | Asked) -> QuerySet[Any]:
    """Return the sums of the minutes after one, of an account or of all."""
    owner: dict[str, object] = {"account_id": ALL_ACCOUNTS if account_id is None else account_id}
    if table is not WebhookMinute:
        owner["application_id"] = ALL_APPLICATIONS
    return table._default_manager.filter(**owner, minute__gt=since).order_by()


def _call_point(*, minute: int, end_reason: str, calls: int, answered: int, talked: int, talk_ms: int) -> CallPoint:
    # PostgreSQL adds large integers up to a decimal number.
    return CallPoint(minute, end_reason, Traffic(calls, calls if end_reason else answered, answered, talked, int(talk_ms)))


def _webhooks(*, event_type: str, attempts: int, failures: int, **latencies: int) -> WebhookFigures:
    return WebhookFigures(event_type, attempts, failures, tuple(latencies[name] for name in BUCKET_NAMES))


def _unheard(*, application: str | None, name: str | None, count: int) -> Unheard:
    # SQLite keeps an id without its hyphens.
    return Unheard(str(UUID(application)) if application else "", name or "", count)


def _node(row: _Row, now: datetime) -> NodeFact:
    seen_at, data = row.at or now, row.data
    health = node_health(Node(name=data["name"], role=data["role"], state=data["state"], seen_at=seen_at))
    silent = max((now - seen_at).total_seconds(), 0.0)
    return NodeFact(data["name"], data["role"], health, silent, data["load"], data["ports_used"], data["ports_total"])
