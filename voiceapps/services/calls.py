"""Calls, written from the reports of daemons.

Two daemons report on a call and their batches may arrive in either order, so each report carries the call's facts and
the first one creates the row. The first end wins.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from voiceapps.choices import CallState, FigureKind
from voiceapps.daemon.bulk import BulkInsert, BulkUpdate, fetch_prepared, padded
from voiceapps.models import Call, CallEvent, MediaLeg
from voiceapps.rules import reports as r
from voiceapps.rules.diagnosis.notices import DOCUMENT, MEDIA
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import FIGURE_NAMES
from voiceapps.services import open_calls, webhooks
from voiceapps.services.call_rows import call_row, ensure, storable
from voiceapps.services.diagnosis import verdicts
from voiceapps.services.figures import marks

MAX_LINE = 512
HUNG_UP = 200
"""The SIP status of a call that a BYE ended."""
_LEGS = {"external": "caller", "internal": "callflow"}
"""The sides of a relay, as ladders name them."""
SWEPT_AT_ONCE = 1_000
"""Rows that one statement deletes, so that other writers do not wait for the messages of a whole day."""


_END_COLUMNS = ("state", "answered_at", "ended_at", "end_class", "end_reason", "sip_status", "error_message", "error_id", "tag")
_ADMITTED = BulkInsert(Call, key=("call_id",), update=("proxy_node", "policy"))
_ANSWERED = BulkUpdate(Call, update=("state", "answered_at", "callflow_node"))
_ENDED = BulkUpdate(Call, update=_END_COLUMNS)
_EVENTS = BulkInsert(CallEvent)
_MEDIA = BulkInsert(MediaLeg, key=("call_id", "leg"), update=("node", "at", *FIGURE_NAMES, "final"))


def admit(reports: Sequence[r.CallAdmitted], boot: str = "") -> None:
    """Create calls that a boot of a proxy admitted, or set the proxy of those that exist; those that have not ended are open then."""
    _ADMITTED.write([_admitted_row(report) for report in reports])
    there = _locked(report.call.call_id for report in reports)
    up = [(report.call, report.node) for report in reports if there[report.call.call_id].is_up]
    open_calls.hold_by_proxy(up, boot)
    _count_again(reports)


def _admitted_row(report: r.CallAdmitted) -> dict[str, object]:
    return call_row(report.call) | {"proxy_node": report.node, "policy": [asdict(rule) for rule in report.trace]}


def answer(reports: Sequence[r.CallAnswered], boot: str = "") -> None:
    """Mark calls as answered when the caller's ACK arrived; from then on this boot of their call-flow node holds them."""
    first = {report.call.call_id: report for report in reversed(reports)}
    there = _ensured([report.call for report in first.values()])
    waiting = [report for call_id, report in first.items() if there[call_id].state == CallState.INITIATED]
    _ANSWERED.write({report.call.call_id: _answer_row(report) for report in waiting})
    open_calls.hold_by_callflow([(report.call, report.node) for report in waiting], boot)
    _count_again(waiting)


def _answer_row(report: r.CallAnswered) -> dict[str, object]:
    return {"state": CallState.ANSWERED, "answered_at": _when(report.at), "callflow_node": report.node}


def end(reports: Sequence[r.CallEnded]) -> int:
    """End calls, judge them, queue their disconnect webhooks and return the number of calls that ended.

    A second end changes nothing, unless the first one was only the guess that the node is lost. Its webhook has gone out.
    """
    first = {report.call.call_id: report for report in reversed(reports)}
    there = _ensured([report.call for report in first.values()])
    changed = [call_id for call_id, held in there.items() if held.is_up]
    corrected = [call_id for call_id, held in there.items() if held.was_lost and first[call_id].reason is not EndReason.NODE_LOST]
    _ENDED.write({call_id: _end_row(first[call_id]) for call_id in (*changed, *corrected)})
    verdicts.write([first[call_id] for call_id in (*changed, *corrected)])
    open_calls.close(list(first))
    _count_again([first[call_id] for call_id in (*changed, *corrected)])
    wanting = [call_id for call_id in changed if there[call_id].status_url]
    if wanting:
        webhooks.queue_disconnects(wanting)
    return len(changed)


def hang_up(reports: Sequence[r.CallHungUp]) -> None:
    """End calls of which their reporter knows only the id."""
    first = {report.call_id: report for report in reversed(reports)}
    end([_hung_up(call, first[call.call_id]) for call in Call.objects.filter(pk__in=first)])


def _count_again(reports: Iterable[r.CallAdmitted | r.CallAnswered | r.CallEnded]) -> None:
    """Have the minutes in which calls began counted again."""
    marks.touch(FigureKind.CALLS, [report.call.started_at for report in reports])


class _Locked(NamedTuple):
    """What is known of a call whose row is locked."""

    state: str
    end_reason: str
    status_url: str | None

    @property
    def is_up(self) -> bool:
        return self.state != CallState.DISCONNECTED

    @property
    def was_lost(self) -> bool:
        return not self.is_up and self.end_reason == EndReason.NODE_LOST


def _ensured(calls: Sequence[r.CallFacts]) -> dict[str, _Locked]:
    """Lock calls, of which those are created that do not exist yet, and return what is known of each."""
    there = _locked(call.call_id for call in calls)
    missing = [call for call in calls if call.call_id not in there]
    if missing:
        ensure(*missing)
        there |= _locked(call.call_id for call in missing)
    return there


def _locked(call_ids: Iterable[str]) -> dict[str, _Locked]:
    """Lock the calls that exist, and return what is known of each."""
    ids = padded(call_ids)
    if not ids:
        return {}
    return {call_id: _Locked(*known) for call_id, *known in fetch_prepared(_lock_statement(connection.vendor, len(ids)), ids)}


@lru_cache(maxsize=64)
def _lock_statement(_vendor: str, count: int) -> str:
    # Locking in one order prevents deadlocks between two processes.
    rows = Call.objects.select_for_update(of=("self",)).filter(pk__in=[str(number) for number in range(count)]).order_by("pk")
    statement: str = rows.values_list("pk", "state", "end_reason", "application__status_url").query.sql_with_params()[0]
    return statement


def _end_row(report: r.CallEnded) -> dict[str, object]:
    return {
        "state": CallState.DISCONNECTED,
        "answered_at": _when(report.answered_at) if report.answered_at else None,
        "ended_at": _when(report.at),
        "end_class": report.reason.end_class.value,
        "end_reason": report.reason.value,
        "sip_status": report.sip_status,
        "error_message": report.error_message or "",
        "error_id": report.error_id or "",
        "tag": report.tag or "",
    }


def add_events(reports: Sequence[r.LadderMessage]) -> None:
    """Add messages to their calls' ladders."""
    _EVENTS.write(
        [
            {
                "call_id": report.call_id,
                "at": _when(report.at),
                "leg": report.leg,
                "transport": report.transport,
                "source": report.source,
                "destination": report.destination,
                "first_line": storable(report.first_line)[:MAX_LINE],
                "text": storable(report.text),
            }
            for report in reports
        ]
    )


def note_media(reports: Sequence[r.MediaNotice]) -> None:
    """Add notices of relays to the messages of their calls."""
    _EVENTS.write([_notice(report, _LEGS[report.leg], MEDIA, report.source, report.destination) for report in reports])


def note_documents(reports: Sequence[r.CallNotice]) -> None:
    """Add notices of call flows to the messages of their calls."""
    _EVENTS.write([_notice(report, "callflow", DOCUMENT) for report in reports])


def _notice(report: r.MediaNotice | r.CallNotice, leg: str, transport: str, source: str = "", destination: str = "") -> dict[str, object]:
    return {
        "call_id": report.call_id,
        "at": _when(report.at),
        "leg": leg,
        "transport": transport,
        "source": source,
        "destination": destination,
        "first_line": storable(report.text)[:MAX_LINE],
        "text": "",
    }


def report_media(records: Sequence[r.MediaReport]) -> None:
    """Replace the figures of sides of calls, and with the last ones of a call that has ended its verdict."""
    _MEDIA.write([_media_row(record) for record in records])
    verdicts.write_anew(records)


def sweep(settle_seconds: float = 0.0) -> int:
    """End the calls that nobody holds any more and return their number.

    It waits for `settle_seconds` and looks again: where the database was away, or the clock was set, living nodes have yet to beat.
    """
    lost = set(open_calls.lost())
    if lost and settle_seconds:
        time.sleep(settle_seconds)
        lost &= set(open_calls.lost())
    with transaction.atomic():
        return end([_node_lost(call) for call in Call.objects.filter(pk__in=lost)])


def sweep_messages(keep: timedelta) -> int:
    """Delete messages that are older than `keep` and return their number.

    Rows are read in the order in which they were written, which is nearly that of their times, until a thousand in
    a row are young enough. This needs no index on the time and no scan of the whole table.
    """
    oldest = timezone.now() - keep
    rows = CallEvent.objects.order_by("pk").values_list("pk", flat=True)
    removed = last = 0
    while pks := list(rows.filter(pk__gt=last)[:SWEPT_AT_ONCE]):
        first, last = pks[0], pks[-1]
        count, _ = CallEvent.objects.filter(pk__range=(first, last), at__lt=oldest).delete()
        removed += count
        if not count:
            break
    return removed


def _node_lost(call: Call) -> r.CallEnded:
    now, words = timezone.now().timestamp(), "The node that held the call stopped answering."
    return r.CallEnded(call.facts(), "", now, EndReason.NODE_LOST, _answered_at(call), None, words, None, call.tag or None)


def _hung_up(call: Call, report: r.CallHungUp) -> r.CallEnded:
    return r.CallEnded(call.facts(), report.node, report.at, report.reason, _answered_at(call), HUNG_UP, None, None, call.tag or None)


def _answered_at(call: Call) -> float | None:
    return call.answered_at.timestamp() if call.answered_at else None


def _media_row(report: r.MediaReport) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(report.figures, name) for name in FIGURE_NAMES}
    told = {"call_id": report.call_id, "leg": report.figures.side, "node": report.node, "at": _when(report.at), "final": report.final}
    return row | told


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
