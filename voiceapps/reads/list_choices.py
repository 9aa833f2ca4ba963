"""What the list of calls offers to choose from: applications, an operator's filters, and an operator's files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voiceapps.choices import ExportFormat
from voiceapps.models import CallExport, SavedFilter, VoiceApplication
from voiceapps.rules.diagnosis.visible import visible_line
from voiceapps.services.diagnosis.exports import KEPT, file_of

MAX_APPLICATIONS = 200
"""Where there are more, an id is typed."""


@dataclass(frozen=True, slots=True)
class ApplicationChoice:
    """An application, and how it is called."""

    application_id: UUID
    account_id: str
    name: str
    sip_uri: str | None
    """None while it takes no calls."""
    needs_password: bool

    @property
    def label(self) -> str:
        """Name and account, as they stand in a list of choices."""
        return f"{visible_line(self.name)} ({self.account_id})"


@dataclass(frozen=True, slots=True)
class FilterLink:
    """A filter to which an operator has given a name."""

    filter_id: int
    name: str
    query: str


@dataclass(frozen=True, slots=True)
class ExportLine:
    """A file of calls: what it holds, and how far it is."""

    export_id: UUID
    query: str
    file_format: str
    state: str
    rows: int
    problem: str
    created_at: datetime
    kept_until: datetime
    size: int | None
    """Bytes; None unless this machine has the file."""


def application_choices(account_id: str | None) -> tuple[ApplicationChoice, ...]:
    """Return the applications of an account or of all, by account and name; one more than `MAX_APPLICATIONS` if there are more."""
    columns = ("account_id", "name", "sip_alias", "inbound_sip_enabled", "password_auth_enabled")
    rows = VoiceApplication.objects.only(*columns).order_by("account_id", "name", "application_id")
    if account_id is not None:
        rows = rows.filter(account=account_id)
    return tuple(
        ApplicationChoice(row.pk, row.account_id, row.name, row.sip_uri, row.password_auth_enabled) for row in rows[: MAX_APPLICATIONS + 1]
    )


def saved_filters(operator_id: int, page: str) -> tuple[FilterLink, ...]:
    """Return the filters of an operator for a page, by name."""
    rows = SavedFilter.objects.filter(operator=operator_id, page=page).order_by("name")
    return tuple(FilterLink(row.pk, row.name, row.query) for row in rows)


def exports_of(operator_id: int) -> tuple[ExportLine, ...]:
    """Return the files of an operator, the newest first."""
    return tuple(map(_export, CallExport.objects.filter(operator=operator_id).order_by("-created_at")))


def _export(row: CallExport) -> ExportLine:
    path = file_of(row)
    return ExportLine(
        export_id=row.pk,
        query=row.query,
        file_format=ExportFormat(row.file_format).label,
        state=row.state,
        rows=row.rows,
        problem=row.problem,
        created_at=row.created_at,
        kept_until=row.created_at + KEPT,
        size=path.stat().st_size if path else None,
    )
