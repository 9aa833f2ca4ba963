"""The verdicts on calls that have ended, written with the end, and anew when the last figures of their audio come after it.

Two processes tell of one call: the call flow its end, the relay its last figures. Both hold the lock on the call's row while they read the
other one's rows, so that whoever comes second sees what the first has written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from django.db import connection

from voiceapps.daemon.bulk import BulkInsert, fetch_prepared, padded
from voiceapps.models import Call, CallVerdict, MediaLeg
from voiceapps.rules.diagnosis.verdicts import Story, depends_on_audio, judge
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import FIGURE_NAMES, MediaFigures
from voiceapps.rules.reports import CallEnded, MediaReport

_WRITTEN = BulkInsert(CallVerdict, key=("call_id",), update=("code",))
_JUDGED_BY = ("external", "internal")
"""The relay's sides. The call flow's figures come before the end, which the call flow itself reports."""
_HUNG_UP = [reason for reason in EndReason if depends_on_audio(reason)]


def write(ends: Sequence[CallEnded]) -> None:
    """Write the verdicts on calls whose rows are locked; the figures of those are read on whose verdicts they have a say."""
    figures = _figures(end.call.call_id for end in ends if depends_on_audio(end.reason))
    _WRITTEN.write([_row(end, figures.get(end.call.call_id, ())) for end in ends])


def write_anew(reports: Sequence[MediaReport]) -> None:
    """Write the verdicts anew on calls that have ended before the last figures of their audio came."""
    told = {report.call_id for report in reports if report.final and report.figures.side in _JUDGED_BY}
    if not told:
        return
    # Which of them have ended is known only once their rows are locked, and so is not asked of the database.
    locked = Call.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=told).order_by("pk").only(*_COLUMNS)
    ended = [call for call in locked if call.end_reason in _HUNG_UP]
    figures = _figures(call.pk for call in ended)
    _WRITTEN.write([_row_of(call, figures.get(call.pk, ())) for call in ended])


_COLUMNS = ("account_id", "application_id", "started_at", "answered_at", "ended_at", "end_reason")


def _row(end: CallEnded, media: tuple[MediaFigures, ...]) -> dict[str, object]:
    call = end.call
    seconds = 0.0 if end.answered_at is None else end.at - end.answered_at
    story = Story(end_reason=end.reason, seconds=seconds, media=media)
    return {
        "call_id": call.call_id,
        "code": judge(story).value,
        "account_id": call.account_id,
        "application_id": UUID(call.application_id) if call.application_id else None,
        "started_at": datetime.fromtimestamp(call.started_at, UTC),
    }


def _row_of(call: Call, media: tuple[MediaFigures, ...]) -> dict[str, object]:
    story = Story(end_reason=EndReason(call.end_reason), seconds=call.duration_seconds or 0.0, media=media)
    columns = {name: getattr(call, name) for name in ("account_id", "application_id", "started_at")}
    return {"call_id": call.pk, "code": judge(story).value, **columns}


def _figures(call_ids: Iterable[str]) -> Mapping[str, tuple[MediaFigures, ...]]:
    """Return the last figures of each side of calls."""
    ids = padded(call_ids)
    found: dict[str, tuple[MediaFigures, ...]] = defaultdict(tuple)
    for call_id, side, *rest in fetch_prepared(_figures_statement(connection.vendor, len(ids)), ids) if ids else ():
        found[call_id] += (MediaFigures(side, *rest),)
    return found


@lru_cache(maxsize=64)
def _figures_statement(_vendor: str, count: int) -> str:
    rows = MediaLeg.objects.filter(call_id__in=[str(number) for number in range(count)]).order_by()
    statement: str = rows.values_list("call_id", "leg", *FIGURE_NAMES).query.sql_with_params()[0]
    return statement
