"""The writer of daemons' reports, each batch in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction

from voiceapps.rules import reports as r
from voiceapps.services import bans, calls, nodes, refusals, webhooks

Writer = Callable[[Sequence[Any]], object]


def _one_by_one(write: Callable[[Any], None]) -> Writer:
    def write_all(reports: Sequence[Any]) -> None:
        for report in reports:
            write(report)

    return write_all


# In this order, so that a call exists before it ends, whatever the order of the reports in a batch.
_WRITERS: dict[type, Writer] = {
    r.CallAdmitted: calls.admit,
    r.CallAnswered: _one_by_one(calls.answer),
    r.CallEnded: calls.end,
    r.LadderMessage: calls.add_events,
    r.MediaReport: calls.report_media,
    r.MediaNotice: calls.note_media,
    r.RecordingStored: _one_by_one(calls.store_recording),
    r.RefusalSeen: _one_by_one(refusals.add),
    r.WebhookFetched: _one_by_one(webhooks.add_fetched),
    r.StatusEventQueued: _one_by_one(webhooks.queue_status_event),
    r.NodeBeat: _one_by_one(nodes.beat),
    r.SourceBanned: _one_by_one(bans.ban),
}


def write_reports(batch: Sequence[r.Report]) -> None:
    """Write a batch, all or nothing; raises whatever one bad report raises."""
    with transaction.atomic():
        for kind, write in _WRITERS.items():
            alike = [report for report in batch if type(report) is kind]
            if alike:
                write(alike)
