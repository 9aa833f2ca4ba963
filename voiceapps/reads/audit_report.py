"""The audit trail as operators read it: the newest entries first, each value beside what it was, things by their names.

One index is walked, of the first of `WALKS` that is asked for. What else is asked is looked at entry by entry, at `MAX_LOOKED_AT` of them
a page; where that ends, the page says so and leads on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from voiceapps.models import Account, AuditEntry, VoiceApplication
from voiceapps.paging.walks import row_is

PAGE = 50
MAX_LOOKED_AT = 5_000
"""Entries that one page looks at, where more is asked than an index knows."""
WALKS = ("subject", "actor", "action", "chain")
"""The columns that have an index, the one that leads to the fewest entries first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; empty texts ask for all."""

    account_id: str | None = None
    """"" asks for the installation's own entries, None for those of all chains."""
    subject: str = ""
    actor: str = ""
    action: str = ""
    kind: str = ""
    """How the actions begin: `account.`; ids of different kinds of things may be the same."""
    since: datetime | None = None
    """Only entries of this time or later."""
    below: int | None = None
    """Only entries that are older than the one with this number in the table."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that was changed, as texts; `old` is empty if it is not known or there was none."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry."""

    place: int
    """Its number in the table."""
    at: datetime
    account_id: str
    """Empty for the installation's own."""
    account_name: str
    actor: str
    source_ip: str
    request_id: str
    action: str
    subject: str
    name: str
    """What the subject is called; empty if it has no name, or is gone."""
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of entries, the newest first."""

    lines: tuple[AuditLine, ...]
    older: int | None
    """Where the next page begins, None on the last one."""
    is_cut: bool
    """Whether it ends because as many entries as one page looks at were looked at."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    entries: Sequence[AuditEntry]
    older: int | None
    is_cut: bool


def audit_page(wanted: Wanted) -> AuditPage:
    """Return a page, by four queries at most, however many entries there are."""
    leaf = _leaf(wanted)
    names, accounts = _names(leaf.entries), _accounts(leaf.entries)
    lines = tuple(_line(entry, names.get(entry.subject, ""), accounts.get(entry.chain, "")) for entry in leaf.entries)
    return AuditPage(lines, leaf.older, leaf.is_cut)


def _leaf(wanted: Wanted) -> _Leaf:
    """Return the entries that fit, and where the next ones begin."""
    given = _given(wanted)
    walked = next((column for column in WALKS if column in given), None)
    rows = _along(walked, given, wanted.below)
    if wanted.kind:
        rows = rows.filter(action__startswith=wanted.kind)
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    rest = {column: value for column, value in given.items() if column != walked}
    if not rest:
        found = list(rows[: PAGE + 1])
        return _Leaf(found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None, is_cut=False)
    looked_at = list(rows.values_list("pk", *rest)[: MAX_LOOKED_AT + 1])
    fitting = [pk for pk, *values in looked_at[:MAX_LOOKED_AT] if values == [*rest.values()]]
    shown = list(AuditEntry.objects.filter(pk__in=fitting[:PAGE]).order_by("-pk"))
    if len(fitting) > PAGE:
        return _Leaf(shown, fitting[PAGE - 1], is_cut=False)
    is_cut = len(looked_at) > MAX_LOOKED_AT
    return _Leaf(shown, looked_at[MAX_LOOKED_AT - 1][0] if is_cut else None, is_cut)


def _given(wanted: Wanted) -> Mapping[str, str]:
    """Return what is asked, by column."""
    texts = {"subject": wanted.subject, "actor": wanted.actor, "action": wanted.action}
    given = {column: value for column, value in texts.items() if value}
    return given if wanted.account_id is None else {**given, "chain": wanted.account_id}


def _along(walked: str | None, given: Mapping[str, str], below: int | None) -> QuerySet[AuditEntry]:
    """Return the entries behind a place in the order of an index; rows are compared for the reason that `paging.walks` names."""
    rows = AuditEntry.objects.order_by("-pk") if walked is None else AuditEntry.objects.order_by(f"-{walked}", "-pk")
    if walked is None:
        return rows if below is None else rows.filter(pk__lt=below)
    value = given[walked]
    rows = rows.filter(row_is(AuditEntry, ">=", (walked,), (value,)))
    behind = ((walked,), (value,)) if below is None else ((walked, "id"), (value, below))
    return rows.filter(row_is(AuditEntry, "<=" if below is None else "<", *behind))


def _line(entry: AuditEntry, name: str, account_name: str) -> AuditLine:
    return AuditLine(
        place=entry.pk,
        at=entry.at,
        account_id=entry.chain,
        account_name=account_name,
        actor=entry.actor,
        source_ip=entry.source_ip or "",
        request_id=entry.request_id,
        action=entry.action,
        subject=entry.subject,
        name=name or account_name * (entry.subject == entry.chain),
        differences=tuple(Difference(key, _text(entry.before.get(key)), _text(value)) for key, value in entry.changes.items()),
    )


def _names(entries: Iterable[AuditEntry]) -> dict[str, str]:
    """Return the names of the applications among the subjects."""
    wanted = {UUID(entry.subject) for entry in entries if entry.action.startswith("application.") and _is_uuid(entry.subject)}
    rows = VoiceApplication.objects.filter(pk__in=wanted).order_by().values_list("pk", "name") if wanted else ()
    return {str(pk): name for pk, name in rows}


def _accounts(entries: Iterable[AuditEntry]) -> dict[str, str]:
    wanted = {entry.chain for entry in entries if entry.chain}
    return dict(Account.objects.filter(pk__in=wanted).values_list("pk", "name")) if wanted else {}


def _text(value: object) -> str:
    """Return a value as people read it."""
    match value:
        case None | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() if all(isinstance(one, str) for one in value):
            return ", ".join(value) or "none"
        case _:
            return json.dumps(value)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
