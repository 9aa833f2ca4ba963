"""What the filters of lists have in common. A filter is a link: it is read from a query, and its query is what was typed.

Whatever is wrong is told by the name of its field, with the rule, and what was typed is kept beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from voiceapps.rules.whole_numbers import is_digits

MAX_TYPED = 512
"""Characters of one field: a SIP Call-ID has no more."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Filter = TypeVar("Filter")
Values = dict[str, object]
"""What a field says, by the fields of the filter."""
Reader = Callable[[str, datetime], Values]
"""Reads a field, with the present time; raises ValueError, which a FilterError says in its own words."""

_AGO = re.compile(r"([0-9]{1,4})([mhd])")
_BLANK_ZONE = re.compile(r"(?<=:[0-9]{2}) ([0-9]{2}:[0-9]{2})$")
_ZONE_APART = re.compile(r" (?=[+-][0-9]{2}:[0-9]{2}$)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TIMES = ("since", "until")
_A_TIME = "Write a time as 2026-11-30T10:05, with or without a zone (Z, +01:00), or 15m, 24h or 7d for so long ago."

RULES: Mapping[str, str] = {
    "app": "Write an application's id, such as 15f99d57-f823-4718-80cc-5d95d5b83e59.",
    "account": "An account's id has at most 16 digits.",
    "since": _A_TIME,
    "until": _A_TIME,
}
"""What is said of the fields that more than one list has."""


class FilterError(ValueError):
    """A rule of the filter in one sentence."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Filter]):
    """A filter as it was typed, but for the zones of its times, and what it means: without a meaning there is an error."""

    given: Mapping[str, str]
    found: Filter | None
    errors: Mapping[str, str] = field(default_factory=dict)

    def query(self, **changes: str) -> str:
        """Return the filter as the query of a link, with some fields changed or added."""
        return urlencode({name: value for name, value in {**self.given, **changes}.items() if value})


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list that is sorted by time: the time and the key of a row."""

    at: datetime
    key: str

    def __str__(self) -> str:
        return f"{_microseconds(self.at)}.{self.key}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that a link names; raises ValueError."""
        number, dot, key = text.partition(".")
        if not dot or len(number) > 17 or not is_digits(number) or not key.isascii() or not key.isprintable():
            raise ValueError("Not a place in this list.")
        return cls(EPOCH + timedelta(microseconds=int(number)), key)


def _microseconds(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def given_of(query: Mapping[str, str], names: Iterable[str], now: datetime) -> dict[str, str]:
    """Return the fields of a query that are not empty; a time without a zone gets the one of `now`, so that a link says the same to all."""
    given = {name: query[name].strip() for name in names if query.get(name, "").strip()}
    return {name: _with_zone(text, now.tzinfo or UTC) if name in _TIMES else text for name, text in given.items()}


def says_zones(query: Mapping[str, str], asked: Asked[Any]) -> bool:
    """Return whether each time of a query says its zone, as those of the filter do that it was read as."""
    return all(asked.given.get(name, "") == query.get(name, "").strip() for name in _TIMES)


def read_fields(
    given: Mapping[str, str], readers: Mapping[str, Reader], rules: Mapping[str, str], now: datetime
) -> tuple[Values, dict[str, str]]:
    """Return what the fields say, and what is wrong with each of the others."""
    values: Values = {}
    errors: dict[str, str] = {}
    for name, text in given.items():
        try:
            values |= readers[name](_bounded(text), now)
        except (ValueError, OverflowError) as error:
            errors[name] = str(error) if isinstance(error, FilterError) else rules[name]
    return values, errors


def _bounded(text: str) -> str:
    if len(text) > MAX_TYPED:
        raise FilterError(f"It has at most {MAX_TYPED} characters.")
    if "\0" in text:
        raise FilterError("Nothing that is stored has such a character.")
    return text


def application(text: str, _now: datetime) -> Values:
    """Return the application of an id; raises ValueError."""
    return {"application_id": UUID(text)}


def account(text: str, _now: datetime) -> Values:
    """Return the account of an id; raises ValueError."""
    if not is_digits(text) or len(text) > 16:
        raise ValueError
    return {"account_id": text}


def time(name: str) -> Reader:
    """Return the reader of a time, or of so long ago."""

    def read_time(text: str, now: datetime) -> Values:
        ago = _AGO.fullmatch(text)
        if ago:
            return {name: now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})}
        return {name: _time(text).astimezone(UTC)}

    return read_time


def _time(text: str) -> datetime:
    """Return a time as people write it, as pages show it, or as it stands in a link; without a zone if it has none. Raises ValueError."""
    text = _ZONE_APART.sub("", text.replace(" UTC", "Z"))
    # In a link that somebody typed, the `+` of a zone is a blank.
    return datetime.fromisoformat(_BLANK_ZONE.sub(r"+\1", text))


def _with_zone(text: str, zone: tzinfo) -> str:
    try:
        when = _time(text)
    except ValueError:
        return text
    return text if when.tzinfo else when.replace(tzinfo=zone).isoformat().replace("+00:00", "Z")
