"""The part of the audit trail that is about one person, under each name that the person has had."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.contrib.auth.models import User

from voiceapps.models import AuditEntry
from voiceapps.reads.audit_report import PAGE, AuditLine, AuditPage, Wanted, audit_page

KIND = "operator."
MAX_NAMES = 20
"""Names of one person that are followed, the newest first; each costs two queries."""


def person_log(user: User, below: int | None) -> AuditPage:
    """Return a page of the entries about a person, those about others of the same name left out."""
    lines: list[AuditLine] = []
    for name, since, until in _names(user):
        ends = [place for place in (until, below) if place is not None]
        found = audit_page(Wanted(subject=name, kind=KIND, since=since, below=min(ends, default=None)))
        lines += found.lines
        if len(lines) > PAGE or found.older is not None:
            return AuditPage(tuple(lines[:PAGE]), lines[PAGE - 1].place, is_cut=False)
    return AuditPage(tuple(lines), None, is_cut=False)


def _names(user: User) -> Iterator[tuple[str, datetime, int | None]]:
    """Yield each name, the newest first, with the time of its first entry and the place of the entry that ended it."""
    name, until = user.get_username(), None
    for _ in range(MAX_NAMES):
        renamed = _renaming(name, user.date_joined, until)
        yield name, renamed.at if renamed else user.date_joined, until
        if renamed is None or "name" not in renamed.before:
            return
        name, until = renamed.before["name"], renamed.pk


def _renaming(name: str, since: datetime, until: int | None) -> AuditEntry | None:
    """Return the entry by which the person got a name; None if it is the first one."""
    rows = AuditEntry.objects.filter(subject=name, action=f"{KIND}change", changes__name=name, at__gte=since)
    return (rows if until is None else rows.filter(pk__lt=until)).order_by("-subject", "-pk").first()
