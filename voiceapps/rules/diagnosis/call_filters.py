"""What a list of calls is narrowed by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from voiceapps.rules.cidr import parse_address
from voiceapps.rules.diagnosis import filter_fields
from voiceapps.rules.diagnosis.filter_fields import EPOCH, Asked, FilterError, Reader, Values, given_of, read_fields
from voiceapps.rules.diagnosis.numbers import MAX_NUMBER, MIN_NUMBER, digits_of, number_of
from voiceapps.rules.diagnosis.verdicts import Level, VerdictCode

FIELDS = ("app", "account", "ip", "number", "since", "until", "verdict", "id")
PERSONAL = frozenset({"ip", "number"})
"""What only those may ask for who may see numbers and addresses."""
DEFAULT_SPAN = timedelta(hours=24)
MAX_SPAN = timedelta(days=31)
"""Of a list without an exact key."""

LEVELS = (Level.BAD, Level.DOUBTFUL, Level.GOOD)
_ENDED = tuple(code for code in VerdictCode if code is not VerdictCode.GOING_ON)
_OUR_ID = re.compile(r"c-[0-9a-f-]{45}")


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What calls have to be like; what is empty is not asked."""

    application_id: UUID | None = None
    account_id: str = ""
    source_ip: str = ""
    number: str = ""
    """All digits of it."""
    prefix: str = ""
    """Its first digits."""
    call_id: str = ""
    sip_call_id: str = ""
    codes: tuple[VerdictCode, ...] = ()
    """Any of these verdicts."""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def has_exact_key(self) -> bool:
        """Whether an index leads to few of all calls."""
        return bool(self.call_id or self.sip_call_id or self.source_ip or self.number)


@dataclass(frozen=True, slots=True)
class AskedCalls(Asked[CallFilter]):
    """A filter of calls as it was typed."""

    @property
    def is_personal(self) -> bool:
        """Whether it asks for a number or an address."""
        return bool(PERSONAL & self.given.keys())


def read(query: Mapping[str, str], now: datetime) -> AskedCalls:
    """Return what a query asks for."""
    given = given_of(query, FIELDS, now)
    values, errors = read_fields(given, _READERS, _RULES, now)
    if errors:
        return AskedCalls(given, None, errors)
    return _within_span(given, CallFilter(**values), now)  # type: ignore[arg-type]  # each reader gives the fields that it names


def _within_span(given: Mapping[str, str], found: CallFilter, now: datetime) -> AskedCalls:
    """Return what is asked for with its span of time, which has a bound where no exact key is given."""
    until, since = found.until or now, found.since
    if since is None and not found.has_exact_key:
        since = max(until, EPOCH + DEFAULT_SPAN) - DEFAULT_SPAN
    if since is not None and since >= until:
        return AskedCalls(given, None, {"since": "It must be before the end of the span."})
    if since is not None and not found.has_exact_key and until - since > MAX_SPAN:
        bound = f"At most {MAX_SPAN.days} days are searched at once, unless an address, a whole number or a call's id is given."
        return AskedCalls(given, None, {"since": bound})
    return AskedCalls(given, replace(found, since=since))


def _ip(text: str, _now: datetime) -> Values:
    try:
        return {"source_ip": parse_address(text)}
    except ValueError as error:
        raise FilterError(str(error)) from None


def _number(text: str, _now: datetime) -> Values:
    if text.endswith("*"):
        prefix = digits_of(text[:-1], least=1)
        if not prefix:
            raise ValueError
        return {"prefix": prefix}
    number = number_of(text) or digits_of(text)
    if not number:
        raise ValueError
    return {"number": number}


def _verdict(text: str, _now: datetime) -> Values:
    codes = tuple(code for code in _ENDED if text in (code.value, code.level.value))
    if not codes:
        raise ValueError
    return {"codes": codes}


def _id(text: str, _now: datetime) -> Values:
    return {"call_id" if _OUR_ID.fullmatch(text) else "sip_call_id": text}


_READERS: Mapping[str, Reader] = {
    "app": filter_fields.application,
    "account": filter_fields.account,
    "ip": _ip,
    "number": _number,
    "since": filter_fields.time("since"),
    "until": filter_fields.time("until"),
    "verdict": _verdict,
    "id": _id,
}
_RULES = {
    **filter_fields.RULES,
    "number": f"Write a number of {MIN_NUMBER} to {MAX_NUMBER} digits, or its first digits and an asterisk, such as 49170*.",
    "verdict": "There is no such verdict.",
}
