"""Refused attempts by application, reason and source, for whoever is asked why calls fail; and by source, against attacks.

One index is walked, of the first of `WALKS` that is asked for. What else is asked is looked at row by row, at `MAX_LOOKED_AT` of them;
where that ends, the page says how far back it looked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from voiceapps.models import RefusedAttempt, VoiceApplication
from voiceapps.paging import walks
from voiceapps.paging.walks import Span, Step
from voiceapps.rules.admission import Reason
from voiceapps.rules.diagnosis.personal import HIDDEN, short_address, short_text

MAX_LOOKED_AT = 5_000
"""Rows, the newest first: each is a minute of one source. A flood brings a hundred a minute for each application and reason."""
MAX_GROUPS = 50
WALKS = ("source_ip", "application_id", "account_id", "reason")
"""The columns that have an index, the one that leads to the fewest rows first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which attempts are asked for; None and "" ask for all."""

    since: datetime
    account_id: str | None = None
    application_id: UUID | None = None
    reason: str = ""
    source_ip: str = ""


@dataclass(frozen=True, slots=True)
class RefusalGroup:
    """The like attempts of one source, with details of the newest row."""

    application_id: str
    """Empty where nobody has the URI that was called."""
    application_name: str
    account_id: str
    application_version: int
    sip_uri: str
    reason: Reason
    source_ip: str
    """Empty in the group of all further sources."""
    country: str
    status: int
    count: int
    first_at: datetime
    last_at: datetime
    request_user: str
    sip_call_id: str
    user_agent: str
    trace: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Refusals:
    """The groups, the one that was seen last first."""

    groups: tuple[RefusalGroup, ...]
    further: int
    """Groups that are not shown."""
    back_to: datetime | None
    """Set if `MAX_LOOKED_AT` rows were looked at: how far back they go."""


class _Row(NamedTuple):
    pk: int
    application_id: object
    reason: str
    source_ip: str | None
    attempts: int
    first_at: datetime
    last_at: datetime


_COLUMNS = ("pk", "application", "reason", "source_ip", "count", "first_at", "last_at")
_Key = tuple[object, str, str | None]


@dataclass(slots=True)
class _Sum:
    newest: int
    """The row that was seen last."""
    count: int
    first_at: datetime
    last_at: datetime


def refusals(wanted: Wanted) -> Refusals:
    """Return what was refused since a time, by two queries whatever the number of rows."""
    rows, back_to = _newest(wanted)
    sums = _summed(rows)
    shown = sorted(sums.values(), key=lambda group: (group.last_at, group.newest), reverse=True)[:MAX_GROUPS]
    details = {row.pk: row for row in _details(group.newest for group in shown)}
    groups = tuple(_group(details[group.newest], group) for group in shown if group.newest in details)
    return Refusals(groups, len(sums) - len(shown), back_to)


def hidden(group: RefusalGroup) -> RefusalGroup:
    """Return a group without what leads to its callers."""
    trace = tuple({name: short_text(text) for name, text in rule.items()} for rule in group.trace)
    source = short_address(group.source_ip) if group.source_ip else ""
    return replace(group, source_ip=source, trace=trace, request_user=HIDDEN, sip_call_id=HIDDEN, user_agent=HIDDEN)


def _newest(wanted: Wanted) -> tuple[list[_Row], datetime | None]:
    """Return the rows that fit, the newest first, and how far back they go if that is not all the way."""
    given = {column: value for column in WALKS if (value := getattr(wanted, column))}
    walked, rest = list(given)[:1], list(given)[1:]
    span = Span("last_at", "id", wanted.since, None)
    rows = walks.along(RefusedAttempt, walked, given, span, Step(None, newer=False, count=MAX_LOOKED_AT))
    looked_at = list(rows.values_list(*_COLUMNS, *rest)[:MAX_LOOKED_AT])
    fitting = [_Row(*row[: len(_COLUMNS)]) for row in looked_at if list(row[len(_COLUMNS) :]) == [given[column] for column in rest]]
    return fitting, _Row(*looked_at[-1][: len(_COLUMNS)]).last_at if len(looked_at) == MAX_LOOKED_AT else None


def _summed(rows: Iterable[_Row]) -> dict[_Key, _Sum]:
    """Return the rows by application, reason and source; they come with the newest first."""
    sums: dict[_Key, _Sum] = {}
    for row in rows:
        key = row.application_id, row.reason, row.source_ip
        held = sums.get(key)
        if held is None:
            sums[key] = _Sum(row.pk, row.attempts, row.first_at, row.last_at)
        else:
            held.count += row.attempts
            held.first_at = min(held.first_at, row.first_at)
    return sums


def _details(pks: Iterable[int]) -> Iterable[RefusedAttempt]:
    rows = RefusedAttempt.objects.select_related("application").defer(*VoiceApplication.JOINED_SECRETS)
    return rows.filter(pk__in=list(pks)).order_by()


def _group(row: RefusedAttempt, group: _Sum) -> RefusalGroup:
    application = row.application
    without = RefusalGroup(
        application_id="",
        application_name="",
        account_id="",
        application_version=0,
        sip_uri="",
        reason=Reason(row.reason),
        source_ip=row.source_ip or "",
        country=row.country,
        status=row.status,
        count=group.count,
        first_at=group.first_at,
        last_at=group.last_at,
        request_user=row.request_user,
        sip_call_id=row.sip_call_id,
        user_agent=row.user_agent,
        trace=tuple(row.trace),
    )
    if application is None:
        return without
    return replace(
        without,
        application_id=str(application.pk),
        application_name=application.name,
        account_id=application.account_id,
        application_version=application.version,
        sip_uri=application.sip_uri or "",
    )


@dataclass(frozen=True, slots=True)
class SourceLine:
    """What was refused to one source."""

    source_ip: str
    country: str
    counts: Mapping[Reason, int]
    agents: frozenset[str]
    applications: int
    """How many it tried, the unknown ones together as one."""
    last_at: datetime

    @property
    def attempts(self) -> int:
        """How often it was refused."""
        return sum(self.counts.values())


def refused_sources(since: datetime) -> tuple[SourceLine, ...]:
    """Return the sources of the newest `MAX_LOOKED_AT` rows since a time, by one query."""
    rows = RefusedAttempt.objects.filter(last_at__gte=since).exclude(source_ip=None).order_by("-last_at", "-pk")
    columns = ("source_ip", "country", "reason", "user_agent", "application", "count", "last_at")
    by_source: dict[str, list[tuple[Any, ...]]] = {}
    for source_ip, *row in rows.values_list(*columns)[:MAX_LOOKED_AT]:
        by_source.setdefault(source_ip, []).append(tuple(row))
    return tuple(_source_line(source_ip, found) for source_ip, found in by_source.items())


def _source_line(source_ip: str, rows: Sequence[tuple[Any, ...]]) -> SourceLine:
    counts: Counter[Reason] = Counter()
    for _, reason, _, _, count, _ in rows:
        counts[Reason(reason)] += count
    country, _, _, _, _, last_at = rows[0]
    agents, applications = frozenset(row[2] for row in rows), frozenset(row[3] for row in rows)
    return SourceLine(source_ip, country, counts, agents, len(applications), last_at)
