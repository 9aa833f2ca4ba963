"""How a long list is walked: along an index, in the order of time, so that nothing is sorted, counted or scanned.

What an index does not know is looked at row by row, and one page looks at so many rows and no more: where that ends, it leads on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from django.db.models import BooleanField, F, Field, Func, Model, QuerySet, Value

from voiceapps.rules.diagnosis.filter_fields import Place

Row = Sequence[Any]
"""Time, key, and what else is looked at."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next rows of a walk."""

    place: Place | None
    newer: bool
    count: int

    def sorted_by(self, *columns: str) -> list[str]:
        """Return the order of the walk."""
        return [("" if self.newer else "-") + column for column in columns]


@dataclass(frozen=True, slots=True)
class Span:
    """The columns of time and key that sort a list, and the span of time that it shows; None has no end there."""

    time: str
    key: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """The places of rows that fit, and where to go on; None if nothing is left."""

    places: tuple[Place, ...]
    go_on: Place | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """The places of one page, the newest first, and where its neighbours begin."""

    places: tuple[Place, ...]
    newer: Place | None
    older: Place | None
    is_cut: bool
    """Whether it ends because as many rows as one page looks at were looked at."""


def look(rows: Callable[[Step], Sequence[Row]], fits: Callable[[Row], bool] | None, step: Step, *, wanted: int, at_once: int) -> Found:
    """Return the next rows that fit; those of the step are looked at, so many at once. Without `fits` all do."""
    found: list[Place] = []
    place, looked = step.place, 0
    while looked < step.count:
        size = min(at_once, step.count - looked, step.count if fits else wanted - len(found))
        read = rows(replace(step, place=place, count=size))
        for row in read:
            place, looked = Place(row[0], str(row[1])), looked + 1
            found += [place] if fits is None or fits(row[2:]) else []
            if len(found) == wanted:
                return Found(tuple(found), place)
        if len(read) < size:
            return Found(tuple(found), None)
    return Found(tuple(found), place)


def leaf(found: Found, place: Place | None, size: int, *, newer: bool) -> Leaf:
    """Return the page of what was found from a place on; one row more than its size tells that it has a neighbour."""
    shown, has_more = found.places[:size], len(found.places) > size
    is_cut = found.go_on is not None and not has_more
    ahead = shown[-1] if has_more else found.go_on
    # Where one came from, there are rows: those of the page before.
    behind = (shown[0] if shown else place) if place else None
    return Leaf(shown[::-1], ahead, behind, is_cut) if newer else Leaf(shown, behind, ahead, is_cut)


def along(model: type[Model], columns: Sequence[str], given: Mapping[str, Any], span: Span, step: Step) -> QuerySet[Any, Any]:
    """Return the rows that have the values of some columns, within the span and behind the place, in the order of the index."""
    rows = model._default_manager.filter(*_between(model, columns, given, span, step))
    return rows.order_by(*step.sorted_by(*columns, span.time, span.key))


def _between(model: type[Model], columns: Sequence[str], given: Mapping[str, Any], span: Span, step: Step) -> list[Func]:
    """Return the conditions that rows have the values of some columns, and lie within the span and behind a place.

    They compare rows, as the index is sorted, and nowhere say that a column equals a value: PostgreSQL would then take the index of times
    for just as good, and look at the rows of everybody else where it guesses that this column's value is frequent.
    """
    exact = [given[column] for column in columns]
    conditions = [row_is(model, ">=", (*columns, span.time), (*exact, span.since))] if span.since else []
    conditions += [row_is(model, "<", (*columns, span.time), (*exact, span.until))] if span.until else []
    if columns and not span.since:
        conditions.append(row_is(model, ">=", columns, exact))
    if columns and not span.until:
        conditions.append(row_is(model, "<=", columns, exact))
    if step.place is not None:
        behind = (*columns, span.time, span.key), (*exact, step.place.at, step.place.key)
        conditions.append(row_is(model, ">" if step.newer else "<", *behind))
    return conditions


def row_is(model: type[Model], sign: str, columns: Sequence[str], values: Sequence[Any]) -> Func:
    """Return the condition that columns, compared as one row, are before or behind values: `<`, `<=`, `>` or `>=`."""
    fields = [cast("Field[Any, Any]", model._meta.get_field(column)) for column in columns]
    typed = (Value(value, output_field=field) for value, field in zip(values, fields, strict=True))
    sides = (Func(*side, template="(%(expressions)s)", output_field=BooleanField()) for side in (map(F, columns), typed))
    return Func(*sides, template="%(expressions)s", arg_joiner=f" {sign} ", output_field=BooleanField())
