"""Move call records on (D17, D19).

Two daemons report on a call and their batches may arrive in either order, so each report brings the call's facts and
the first one makes the row. The first end wins.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from voiceapps.choices import CallState
from voiceapps.models import Call, CallEvent, MediaLeg, Recording
from voiceapps.rules import records as r
from voiceapps.rules.endings import EndReason
from voiceapps.selectors import live_nodes
from voiceapps.services import webhooks
from voiceapps.services.call_rows import ensure, storable

# A call whose node went silent is over; a new call gets this long to reach its call-flow node.
SILENT_NODE_SECONDS = 60.0
MAX_LINE = 512


def admit(record: r.CallAdmitted) -> None:
    """Create the call as the proxy admitted it."""
    ensure(record.call)
    Call.objects.filter(pk=record.call.call_id).update(proxy_node=record.node)


def answer(record: r.CallAnswered) -> None:
    """Note when the caller's ACK arrived."""
    ensure(record.call)
    waiting = Call.objects.filter(pk=record.call.call_id, state=CallState.INITIATED)
    waiting.update(state=CallState.ANSWERED, answered_at=_when(record.at), callflow_node=record.node)


def end(record: r.CallEnded) -> None:
    """End the call and put its disconnect webhook into the outbox; a second end changes nothing."""
    ensure(record.call)
    reason = record.reason
    ended = Call.objects.filter(pk=record.call.call_id).exclude(state=CallState.DISCONNECTED)
    changed = ended.update(
        state=CallState.DISCONNECTED,
        answered_at=_when(record.answered_at) if record.answered_at else None,
        ended_at=_when(record.at),
        end_class=reason.end_class.value,
        end_reason=reason.value,
        sip_status=record.sip_status,
        error_message=record.error_message or "",
        error_id=record.error_id or "",
        tag=record.tag or "",
    )
    if changed:
        webhooks.queue_disconnect(Call.objects.select_related("application").get(pk=record.call.call_id))


def add_event(record: r.LadderMessage) -> None:
    """Add one message to the call's ladder."""
    CallEvent.objects.create(
        transport=record.transport,
        call_id=record.call_id,
        at=_when(record.at),
        leg=record.leg,
        source=record.source,
        destination=record.destination,
        first_line=record.first_line[:MAX_LINE],
        text=storable(record.text),
    )


def report_media(record: r.MediaReport) -> None:
    """Replace the figures of one side of a call."""
    MediaLeg.objects.update_or_create(
        call_id=record.call_id,
        leg=record.leg,
        defaults={
            "node": record.node,
            "at": _when(record.at),
            "packets_in": record.packets_in,
            "bytes_in": record.bytes_in,
            "packets_out": record.packets_out,
            "lost": record.lost,
            "jitter_ms": record.jitter_ms,
            "payload_type": record.payload_type,
            "advertised": record.advertised,
            "observed": record.observed,
            "final": record.final,
        },
    )


def store_recording(record: r.RecordingStored) -> None:
    """Add a recording to its call."""
    ensure(record.call)
    Recording.objects.update_or_create(
        recording_id=record.recording_id,
        defaults={
            "call_id": record.call.call_id,
            "path": record.path,
            "file_format": record.file_format,
            "channels": record.channels,
            "duration_ms": record.duration_ms,
            "started_at": _when(record.started_at),
            "ended_at": _when(record.ended_at),
        },
    )


def sweep() -> int:
    """End the calls whose node is gone and return how many these were."""
    live = {node.name for role in ("sipproxy", "callflow") for node in live_nodes(role, seconds=SILENT_NODE_SECONDS)}
    silent_since = timezone.now() - timedelta(seconds=SILENT_NODE_SECONDS)
    stranded = Call.objects.exclude(state=CallState.DISCONNECTED).filter(started_at__lt=silent_since)
    ended = 0
    for call in stranded:
        if (call.callflow_node or call.proxy_node) not in live:
            end(_node_lost(call))
            ended += 1
    return ended


def _node_lost(call: Call) -> r.CallEnded:
    answered_at = call.answered_at.timestamp() if call.answered_at else None
    return r.CallEnded(
        call=call.facts(),
        node="",
        at=timezone.now().timestamp(),
        reason=EndReason.NODE_LOST,
        answered_at=answered_at,
        sip_status=None,
        error_message="The node that held the call stopped answering.",
        error_id=None,
        tag=call.tag or None,
    )


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
