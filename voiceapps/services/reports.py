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
from voiceapps.services import bans, calls, nodes, open_calls, recordings, refusals, webhooks
from voiceapps.services.transcriptions import live, orders

Writer = Callable[[Sequence[Any], str], object]
"""Writes reports of one kind, of the boot that is named, or of none."""


def _all(write: Callable[[Sequence[Any]], object]) -> Writer:
    return lambda reports, _boot: write(reports)


def _each(write: Callable[[Any], object]) -> Writer:
    def write_each(reports: Sequence[Any], _boot: str) -> None:
        for report in reports:
            write(report)

    return write_each


# In this order, so that a call exists before it ends, whatever the order of the reports in a batch.
_WRITERS: dict[type, Writer] = {
    r.CallAdmitted: calls.admit,
    r.CallForwarded: _all(open_calls.forward),
    r.CallAnswered: calls.answer,
    r.CallEnded: _all(calls.end),
    r.CallHungUp: _all(calls.hang_up),
    r.LadderMessage: _all(calls.add_events),
    r.MediaReport: _all(calls.report_media),
    r.MediaNotice: _all(calls.note_media),
    r.CallNotice: _all(calls.note_documents),
    r.RecordingBegun: _all(recordings.begin),
    r.RecordingStored: _all(recordings.complete),
    r.TranscriptionWanted: _all(orders.order_reported),
    r.TranscriptKept: _all(live.keep),
    r.RefusalSeen: _all(refusals.add),
    r.WebhookFetched: _all(webhooks.add_fetched),
    r.StatusEventQueued: _each(webhooks.queue_status_event),
    r.NodeBeat: _each(nodes.beat),
    r.SourceBanned: _each(bans.ban),
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
            write_reports(batch.reports[max(0, mark.number + 1 - batch.first) :], batch.origin.boot)
            mark.number = last
            mark.save(update_fields=["number"])


def forget_boots(node: str, living: Collection[str]) -> None:
    """Forget what was written for the boots of a node that will send nothing any more: all but the living ones."""
    RecordMark.objects.filter(node=node).exclude(boot__in=living).delete()


def write_reports(batch: Sequence[r.Report], boot: str = "") -> None:
    """Write reports of a boot, all or nothing; raises whatever one bad report raises."""
    with transaction.atomic(savepoint=False):
        for kind, write in _WRITERS.items():
            alike = [report for report in batch if type(report) is kind]
            if alike:
                write(alike, boot)
