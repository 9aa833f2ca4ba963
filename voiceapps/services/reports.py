"""The writer of daemons' reports, each batch in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import transaction

from voiceapps.daemon.ledger import Ledger
from voiceapps.fields import field_cipher
from voiceapps.models import RecordMark
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


def ledger() -> Ledger:
    """Return where the reports of this machine's daemons are kept."""
    return Ledger(write_batch, forget_boots, settings.JOURNAL_DIR, field_cipher())


def write_batch(batch: r.Batch) -> None:
    """Write the reports that are not written yet, all or nothing, and with them that they are; raises whatever one bad report raises."""
    if batch.origin is None:
        write_reports(batch.reports)
        return
    with transaction.atomic():
        mark, _ = RecordMark.objects.select_for_update().get_or_create(**asdict(batch.origin), defaults={"number": 0})
        last = batch.first + len(batch.reports) - 1
        if mark.number < last:
            write_reports(batch.reports[max(0, mark.number + 1 - batch.first) :])
            mark.number = last
            mark.save(update_fields=["number"])


def forget_boots(node: str, living: Collection[str]) -> None:
    """Forget what was written for the boots of a node that will send nothing any more: all but the living ones."""
    RecordMark.objects.filter(node=node).exclude(boot__in=living).delete()


def write_reports(batch: Sequence[r.Report]) -> None:
    """Write a batch, all or nothing; raises whatever one bad report raises."""
    with transaction.atomic():
        for kind, write in _WRITERS.items():
            alike = [report for report in batch if type(report) is kind]
            if alike:
                write(alike)
