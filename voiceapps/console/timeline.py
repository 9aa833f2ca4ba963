"""All that happened in a call on one axis: admission, messages, webhooks, recordings, the end. It reads no row, and knows no request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceapps.console.ladder import Kind, Lane, rows, steps
from voiceapps.console.ladder.folding import Folded, Gap

if TYPE_CHECKING:
    from voiceapps.reads.call_report import CallReport

_NAMES = {Lane.CALLER: "caller", Lane.PROXY: "proxy", Lane.CALLFLOW: "call flow", Lane.WEBHOOK: "customer's server"}
_SIGNS = {
    Kind.REQUEST: "arrow_forward",
    Kind.PROVISIONAL: "arrow_back",
    Kind.SUCCESS: "arrow_back",
    Kind.FAILURE: "error",
    Kind.WEBHOOK: "webhook",
    Kind.NOTICE: "info",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened."""

    seconds: float
    """Since the first INVITE."""
    sign: str
    what: str
    note: str = ""
    step: int = 0
    """The step of the ladder that it is, 0 for none."""


def moments(report: CallReport, *, traces: bool) -> tuple[Moment, ...]:
    """Return what happened in the order of time; without `traces` no SIP messages."""
    found = [*_admission(report), *(_ladder(report) if traces else ()), *_recordings(report), *_end(report)]
    return tuple(sorted(found, key=lambda moment: moment.seconds))


def _admission(report: CallReport) -> Iterator[Moment]:
    if report.policy:
        passed = sum(rule["verdict"] == "passed" for rule in report.policy)
        yield Moment(0.0, "verified_user", "Admitted", f"{passed} rules passed, {len(report.policy) - passed} did not apply")


def _ladder(report: CallReport) -> Iterator[Moment]:
    for row in rows(steps(report.ladder, report.webhooks)):
        if isinstance(row, Gap):
            continue
        first = row.first
        label = row.label if isinstance(row, Folded) else first.label
        way = "" if first.kind is Kind.NOTICE else f"{_NAMES[first.source]} to {_NAMES[first.target]}"
        note = " · ".join(part for part in (way, row.note) if part)
        yield Moment(first.seconds, _SIGNS[first.kind], label, note, first.number)


def _recordings(report: CallReport) -> Iterator[Moment]:
    for recording in report.recordings:
        yield Moment(recording.began, "fiber_manual_record", "A recording begins", f"{recording.recording_id}, {recording.status}")


def _end(report: CallReport) -> Iterator[Moment]:
    head = report.head
    talk = head.duration_seconds
    if head.setup_seconds is not None:
        yield Moment(head.setup_seconds, "call", "Answered", "the caller's ACK has arrived")
    if head.setup_seconds is not None and talk is not None:
        heard = ", ".join(f"{side.packets_in} packets from the {_side(side.side)}" for side in report.media)
        note = " · ".join(part for part in (head.end_reason.replace("_", " "), heard) if part)
        yield Moment(head.setup_seconds + talk, "call_end", "Ended", note)


def _side(name: str) -> str:
    return {"external": "caller", "internal": "call flow", "callflow": "call flow, end to end"}.get(name, name)
