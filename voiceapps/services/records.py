"""Write what daemons report, a batch in one transaction (D19)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from django.db import DataError, IntegrityError, transaction

from voiceapps.rules import records as r
from voiceapps.services import calls, nodes, refusals, webhooks

log = structlog.get_logger(__name__)

_WRITERS: dict[type, Callable[[Any], None]] = {
    r.CallAdmitted: calls.admit,
    r.CallAnswered: calls.answer,
    r.CallEnded: calls.end,
    r.LadderMessage: calls.add_event,
    r.MediaReport: calls.report_media,
    r.RecordingStored: calls.store_recording,
    r.RefusalSeen: refusals.add,
    r.WebhookFetched: webhooks.add_fetched,
    r.StatusEventQueued: webhooks.queue_status_event,
    r.NodeBeat: nodes.beat,
}


def write_records(batch: Sequence[r.Record]) -> None:
    """Write a batch, all or nothing; if one record is bad, write the others one by one. Raises OperationalError."""
    try:
        with transaction.atomic():
            for record in batch:
                _WRITERS[type(record)](record)
    except (IntegrityError, DataError, ValueError):
        for record in batch:
            _write_alone(record)


def _write_alone(record: r.Record) -> None:
    try:
        with transaction.atomic():
            _WRITERS[type(record)](record)
    except (IntegrityError, DataError, ValueError) as error:
        log.error("record_refused", record=type(record).__name__, error=str(error))
