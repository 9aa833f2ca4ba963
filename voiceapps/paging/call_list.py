"""The list of calls, the newest first: pages of it, and all of it in parts. The reads return frozen values, never ORM objects.

Theory of operation. `WALKS` is the table of what a filter may be made of. The first entry whose columns the filter gives is walked: its
index leads to the calls that fit them in the order of their times, so that nothing is sorted, counted or scanned. What else the filter asks
is looked at call by call, at `MAX_LOOKED_AT` calls a page; where that ends, the page says so and leads on. So any combination is answered,
and none costs more than its walk. A verdict is walked in a table of its own, several of them (a level) side by side.

The first digits of a number have no order of time in their index. If few calls begin so, all of them are sorted; if many do, they are found
soon by looking at each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model, Q, QuerySet

from voiceapps.choices import CallState
from voiceapps.models import Call, CallVerdict, VoiceApplication
from voiceapps.paging import walks
from voiceapps.paging.walks import Found, Row, Span, Step
from voiceapps.rules.diagnosis.call_filters import CallFilter
from voiceapps.rules.diagnosis.filter_fields import Place
from voiceapps.rules.diagnosis.numbers import after_prefix
from voiceapps.rules.diagnosis.personal import short_address, short_number, short_text, short_uri
from voiceapps.rules.diagnosis.verdicts import VerdictCode

PAGE = 50
MAX_LOOKED_AT = 5_000
"""Calls that one page looks at, where more is asked than an index knows."""
MAX_FEW = 5_000
"""Calls whose numbers begin alike and that are sorted; if there are more, each call of the walk is looked at."""
AT_ONCE = 1_000
"""Calls of one query."""


@dataclass(frozen=True, slots=True)
class Walk:
    """An index that is walked for a filter which gives its columns."""

    columns: tuple[str, ...]
    index: str

    @property
    def is_of_verdicts(self) -> bool:
        """Whether it is an index of the verdicts' table."""
        return "code" in self.columns


WALKS = (
    Walk(("call_id",), "voiceapps_call_pkey"),
    Walk(("sip_call_id",), "call_by_sip_call_id"),
    Walk(("from_number",), "call_by_number"),
    Walk(("source_ip",), "call_by_source"),
    Walk(("application_id", "code"), "verdict_of_application"),
    Walk(("application_id",), "call_of_application"),
    Walk(("account_id", "code"), "verdict_of_account"),
    Walk(("account_id",), "call_page"),
    Walk(("code",), "verdict_page"),
    Walk((), "call_by_time"),
)
"""What is walked for which columns, the one that leads to the fewest calls first."""
_ORDER = ("started_at", "call_id")
_PREFIX = Walk((), "call_by_number")
"""What is walked, out of the order of time, for the first digits of a number that few calls have."""


@dataclass(frozen=True, slots=True)
class CallLine:
    """A call in a list."""

    call_id: str
    sip_call_id: str
    account_id: str
    application_id: UUID | None
    """None if the application is gone."""
    application_name: str
    from_uri: str
    from_number: str
    to_uri: str
    source_ip: str
    source_port: int
    country: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    talk_seconds: float | None
    verdict: VerdictCode | None
    """None if it has ended and was not judged: while an update was being installed."""
    end_class: str
    end_reason: str
    sip_status: int | None
    error: str

    @property
    def setup_seconds(self) -> float | None:
        """From the first INVITE to the answer."""
        return (self.answered_at - self.started_at).total_seconds() if self.answered_at else None


@dataclass(frozen=True, slots=True)
class CallPage:
    """A page of the list, and where its neighbours begin."""

    calls: tuple[CallLine, ...]
    newer: Place | None
    older: Place | None
    is_cut: bool
    """Whether it ends because as many calls as one page looks at were looked at."""


class Search:
    """The walk that finds what a filter asks for."""

    def __init__(self, asked: CallFilter) -> None:
        self._asked = asked
        self._span = Span(*_ORDER, asked.since, asked.until)
        self._given = _given(asked)
        self._few = _few(asked, self._given) if asked.prefix and not asked.has_exact_key else None
        self.walk = _PREFIX if self._few is not None else next(walk for walk in WALKS if set(walk.columns) <= self._given.keys())
        self._rest = [column for column in self._given if column not in self.walk.columns]
        self._looked_at = [*self._rest, *(["from_number"] if asked.prefix else [])]

    def look(self, place: Place | None, *, newer: bool, wanted: int, most: int) -> Found:
        """Return the next calls that fit, of at most so many that are looked at, from a place on."""
        fits = self._fits if self._looked_at else None
        return walks.look(self._rows, fits, Step(place, newer, most), wanted=wanted, at_once=AT_ONCE)

    def _fits(self, values: Row) -> bool:
        rest = zip(self._rest, values, strict=False)
        fits = all(value in given if isinstance(given := self._given[name], tuple) else value == given for name, value in rest)
        return fits and (not self._asked.prefix or values[-1].startswith(self._asked.prefix))

    def _rows(self, step: Step) -> Sequence[Row]:
        if self._few is not None:
            rows = [row for row in self._few if step.place is None or _is_behind(row, step.place, newer=step.newer)]
            return rows[-step.count :][::-1] if step.newer else rows[: step.count]
        return list(self._verdicts(step) if self.walk.is_of_verdicts else self._along_index(Call, self._given, step))

    def _along_index(self, model: type[Model], given: Mapping[str, Any], step: Step) -> QuerySet[Any, Any]:
        rows = walks.along(model, self.walk.columns, given, self._span, step)
        return rows.values_list(*_ORDER, *self._paths())[: step.count]

    def _verdicts(self, step: Step) -> QuerySet[Any, Any]:
        """Return the next calls that have one of the verdicts: the next ones that have each of them, side by side."""
        codes, order = self._asked.codes, step.sorted_by(*_ORDER)
        if len(codes) == 1 or connection.features.supports_slicing_ordering_in_compound:
            first, *others = (self._along_index(CallVerdict, {**self._given, "code": code}, step) for code in codes)
            return first.union(*others, all=True).order_by(*order)[: step.count] if others else first
        # SQLite merges them by itself, as each of them is in the order of time.
        exact = {column: self._given[column] for column in self.walk.columns if column != "code"}
        rows = walks.along(CallVerdict, (), {}, self._span, step).order_by().filter(**exact)
        first, *others = (rows.filter(code=code).values_list(*_ORDER, *self._paths()) for code in codes)
        return first.union(*others, all=True).order_by(*order)[: step.count]

    def _paths(self) -> list[str]:
        """Return what else is looked at, as the walked table knows it."""
        if not self.walk.is_of_verdicts:
            return _paths_of_call(self._looked_at)
        return [column if column in ("account_id", "application_id") else f"call__{column}" for column in self._looked_at]


def page(asked: CallFilter, place: Place | None = None, *, newer: bool = False) -> CallPage:
    """Return the page of the list that begins behind a place, or the newest one."""
    found = Search(asked).look(place, newer=newer, wanted=PAGE + 1, most=MAX_LOOKED_AT)
    shown = walks.leaf(found, place, PAGE, newer=newer)
    return CallPage(lines(shown.places), shown.newer, shown.older, shown.is_cut)


def parts(asked: CallFilter) -> Iterator[tuple[Place, ...]]:
    """Yield all calls that fit, those of `AT_ONCE` that are looked at together, the newest first."""
    search, place = Search(asked), None
    while True:
        found = search.look(place, newer=False, wanted=AT_ONCE, most=AT_ONCE)
        yield found.places
        if found.go_on is None:
            return
        place = found.go_on


def lines(places: Sequence[Place]) -> tuple[CallLine, ...]:
    """Return the calls at places, in their order."""
    rows = Call.objects.select_related("application", "verdict").defer(*VoiceApplication.JOINED_SECRETS)
    calls = rows.order_by().in_bulk([place.key for place in places])
    return tuple(_line(calls[place.key]) for place in places if place.key in calls)


def hidden(call: CallLine) -> CallLine:
    """Return a call without what leads to its caller."""
    return replace(
        call,
        from_uri=short_uri(call.from_uri),
        from_number=short_number(call.from_number) if call.from_number else "",
        source_ip=short_address(call.source_ip),
        source_port=0,
        sip_call_id=short_text(call.sip_call_id),
        error=short_text(call.error),
    )


def _given(asked: CallFilter) -> Mapping[str, Any]:
    """Return what is asked, by column."""
    columns = {
        "call_id": asked.call_id,
        "sip_call_id": asked.sip_call_id,
        "from_number": asked.number,
        "source_ip": asked.source_ip,
        "application_id": asked.application_id,
        "account_id": asked.account_id,
        "code": asked.codes,
    }
    return {column: value for column, value in columns.items() if value}


def _paths_of_call(columns: Iterable[str]) -> list[str]:
    return ["verdict__code" if column == "code" else column for column in columns]


def _few(asked: CallFilter, given: Mapping[str, Any]) -> list[Row] | None:
    """Return the calls whose numbers begin as asked, the newest first, with what else is given; None if they are many."""
    after = after_prefix(asked.prefix)
    begin_so = Q(from_number__gte=asked.prefix) & (Q(from_number__lt=after) if after else Q())
    rows = Call.objects.filter(begin_so).order_by("from_number")
    found = list(rows.values_list("started_at", "call_id", *_paths_of_call(given), "from_number")[: MAX_FEW + 1])
    if len(found) > MAX_FEW:
        return None
    within = [row for row in found if (not asked.since or row[0] >= asked.since) and (not asked.until or row[0] < asked.until)]
    return sorted(within, key=lambda row: (row[0], row[1]), reverse=True)


def _is_behind(row: Row, place: Place, *, newer: bool) -> bool:
    here, there = (row[0], row[1]), (place.at, place.key)
    return here > there if newer else here < there


def _line(call: Call) -> CallLine:
    verdict = getattr(call, "verdict", None)
    goes_on = VerdictCode.GOING_ON if call.state != CallState.DISCONNECTED else None
    same = (
        *("call_id", "sip_call_id", "account_id", "application_id", "from_uri", "from_number", "to_uri", "source_ip", "source_port"),
        *("country", "started_at", "answered_at", "ended_at", "end_class", "end_reason", "sip_status"),
    )
    return CallLine(
        **{name: getattr(call, name) for name in same},
        application_name=call.application.name if call.application else "",
        talk_seconds=call.duration_seconds,
        verdict=VerdictCode(verdict.code) if verdict else goes_on,
        error=call.error_message,
    )
