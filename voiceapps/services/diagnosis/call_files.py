"""What stands in a file of calls, a part of it at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from voiceapps.choices import ExportFormat
from voiceapps.paging.call_list import CallLine, hidden, lines, parts
from voiceapps.rules.diagnosis.call_filters import CallFilter
from voiceapps.rules.diagnosis.tables import csv_lines, heading, json_lines

COLUMNS = (
    *("callId", "sipCallId", "accountId", "applicationId", "applicationName", "from", "number", "to", "sourceIp", "sourcePort", "country"),
    *(
        "startTime",
        "answerTime",
        "endTime",
        "setupSeconds",
        "talkSeconds",
        "verdict",
        "level",
        "endClass",
        "endReason",
        "sipStatus",
        "error",
    ),
)
CONTENT_TYPES = {ExportFormat.CSV.value: "text/csv; charset=utf-8", ExportFormat.JSON_LINES.value: "application/jsonl"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file holds, and in which form."""

    asked: CallFilter
    file_format: str
    shows_personal: bool


def whole(wanted: Wanted) -> Iterator[bytes]:
    """Yield the parts of a file, with few calls in memory at once."""
    yield begin(wanted).encode()
    for places in parts(wanted.asked):
        yield text(wanted, lines(places)).encode()


def begin(wanted: Wanted) -> str:
    """Return what stands above the calls."""
    return heading(COLUMNS) if wanted.file_format == ExportFormat.CSV else ""


def text(wanted: Wanted, calls: Sequence[CallLine]) -> str:
    """Return the lines of calls; numbers and addresses are short unless they are to be shown."""
    rows = [_row(call if wanted.shows_personal else hidden(call)) for call in calls]
    return csv_lines(rows) if wanted.file_format == ExportFormat.CSV else json_lines(rows)


def _row(call: CallLine) -> dict[str, object]:
    values = (
        call.call_id,
        call.sip_call_id,
        call.account_id,
        str(call.application_id or ""),
        call.application_name,
        call.from_uri,
        call.from_number,
        call.to_uri,
        call.source_ip,
        call.source_port,
        call.country,
        _time(call.started_at),
        _time(call.answered_at),
        _time(call.ended_at),
        call.setup_seconds,
        call.talk_seconds,
        call.verdict.value if call.verdict else None,
        call.verdict.level.value if call.verdict else None,
        call.end_class,
        call.end_reason,
        call.sip_status,
        call.error,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
