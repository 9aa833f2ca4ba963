"""The list of applications, by name: pages of it, each by at most two queries.

A page is walked along an index, of an account or of all. A part of a name is in no index: the names are looked at one by one, at most
`MAX_LOOKED_AT` of them for a page, and where that ends, the page says so and leads on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.db.models import Q, QuerySet

from voiceapps.models import Account, VoiceApplication
from voiceapps.models.applications import NAME_LENGTH
from voiceapps.reads.applications.traffic import calls_since, last_call, refusals_since

PAGE = 50
MAX_LOOKED_AT = 5_000
"""Names that one page looks at."""
MAX_ACCOUNTS = 200
"""Accounts that a form offers; where there are more, an id is typed."""
DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Place:
    """The last application of a page."""

    name: str
    application_id: UUID

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the place that a link names; raises ValueError."""
        try:
            name, number = json.loads(text)
            if not isinstance(name, str) or len(name) > NAME_LENGTH or "\0" in name:
                raise ValueError
            return cls(name.encode().decode(), UUID(number))
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise ValueError("The link names no place in this list.") from None

    def __str__(self) -> str:
        return json.dumps([self.name, str(self.application_id)])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which applications are asked for; None and "" ask for all."""

    account_id: str | None = None
    sought: str = ""
    """A part of the name in any case, or an application's id or SIP URI."""
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """An application in the list."""

    application_id: UUID
    name: str
    account_id: str
    account_name: str
    sip_uri: str | None
    """None while it takes no calls."""
    by_password: bool
    ranges: int
    regions: tuple[str, ...]
    calls: int
    """Of the last 24 hours, as are the refusals."""
    refusals: int
    last_call: datetime | None


@dataclass(frozen=True, slots=True)
class ApplicationPage:
    """A page, by name."""

    lines: tuple[ApplicationLine, ...]
    following: Place | None
    """Where the next page begins, None on the last one."""
    is_cut: bool
    """Whether the page ended because enough names were looked at."""


def application_page(wanted: Wanted, now: datetime) -> ApplicationPage:
    """Return a page, by one query, or by two where a part of the name is asked for."""
    rows = VoiceApplication.objects.order_by("name", "application_id")
    if wanted.account_id is not None:
        rows = rows.filter(account_id=wanted.account_id)
    if user := _user(wanted.sought):
        named = rows.filter(Q(pk=user) | Q(sip_alias=user))
        return ApplicationPage(tuple(map(_line, _with_figures(named, now))), None, is_cut=False)
    if wanted.after is not None:
        place = wanted.after
        # The first condition is implied by the other; it has a form that the index can serve.
        rows = rows.filter(name__gte=place.name).filter(Q(name__gt=place.name) | Q(application_id__gt=place.application_id))
    return _containing(rows, wanted.sought, now) if wanted.sought else _page(rows, now)


def accounts_of(account_id: str | None) -> tuple[tuple[str, str], ...]:
    """Return the account of that id, or the first `MAX_ACCOUNTS` of all, each with its name."""
    rows = Account.objects.order_by("account_id") if account_id is None else Account.objects.filter(pk=account_id)
    return tuple(rows.values_list("account_id", "name")[:MAX_ACCOUNTS])


def _page(rows: QuerySet[VoiceApplication], now: datetime) -> ApplicationPage:
    found = list(map(_line, _with_figures(rows, now)[: PAGE + 1]))
    shown = found[:PAGE]
    return ApplicationPage(tuple(shown), _place(shown[-1]) if len(found) > PAGE else None, is_cut=False)


def _containing(rows: QuerySet[VoiceApplication], part: str, now: datetime) -> ApplicationPage:
    """Return the applications whose names contain a text, of those that one page looks at."""
    looked_at = [Place(name, number) for name, number in rows.values_list("name", "application_id")[: MAX_LOOKED_AT + 1]]
    fitting = [place for place in looked_at[:MAX_LOOKED_AT] if part.casefold() in place.name.casefold()]
    shown = fitting[:PAGE]
    lines = map(_line, _with_figures(rows.filter(pk__in=[place.application_id for place in shown]), now))
    if len(fitting) > PAGE:
        return ApplicationPage(tuple(lines), shown[-1], is_cut=False)
    is_cut = len(looked_at) > MAX_LOOKED_AT
    return ApplicationPage(tuple(lines), looked_at[MAX_LOOKED_AT - 1] if is_cut else None, is_cut)


def _with_figures(rows: QuerySet[VoiceApplication], now: datetime) -> QuerySet[Any]:
    """Return the rows with their figures, which are read for those alone that are shown."""
    figures = {"calls_": calls_since(DAY, now), "refusals_": refusals_since(DAY, now), "last_call_": last_call()}
    return rows.select_related("account").defer(*VoiceApplication.SECRETS).annotate(**figures)


def _line(row: Any) -> ApplicationLine:
    return ApplicationLine(
        application_id=row.pk,
        name=row.name,
        account_id=row.account_id,
        account_name=row.account.name,
        sip_uri=row.sip_uri,
        by_password=row.password_auth_enabled,
        ranges=len(row.allowed_source_ips),
        regions=tuple(row.allowed_regions),
        calls=row.calls_,
        refusals=row.refusals_,
        last_call=row.last_call_,
    )


def _place(line: ApplicationLine) -> Place:
    return Place(line.name, line.application_id)


def _user(sought: str) -> UUID | None:
    """Return the user of a SIP URI, or an application's id; None for any other text."""
    try:
        return UUID(sought.removeprefix("sip:").partition("@")[0])
    except ValueError:
        return None
