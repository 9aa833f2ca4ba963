"""What is known of one call: the reads of its page, of the demo and of capture files. They return frozen values, never ORM objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from voiceapps.choices import MEDIA, NOTICES
from voiceapps.models import Call, CallEvent, MediaLeg, VoiceApplication, WebhookAttempt, WebhookDelivery
from voiceapps.rules.diagnosis.pcap import StoredMessage
from voiceapps.rules.diagnosis.verdicts import Story, Verdict, explain
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import FIGURE_NAMES, MediaFigures

FIRST_MESSAGES, LAST_MESSAGES = 400, 100  # on the page of one call: how it began, and how it ended
MAX_MESSAGES = 10_000  # messages of one call in a capture file: a caller can send any number
MESSAGES_AT_ONCE = 200
MAX_NEIGHBOURS = 10
_UNHEARD = "No audio comes from the caller. "
"""What the relay's notice begins with; what it has seen stands behind it."""


@dataclass(frozen=True, slots=True)
class CallHead:
    """A call without what happened in it."""

    call_id: str
    sip_call_id: str
    account_id: str
    application_id: str
    """Empty if the application is gone."""
    application_name: str
    from_uri: str
    to_uri: str
    source_ip: str
    source: str
    """`address:port` of the caller."""
    country: str
    state: str
    end_class: str
    end_reason: str
    cause: str
    sip_status: int | None
    error: str
    error_id: str
    started_at: datetime
    setup_seconds: float | None
    duration_seconds: float | None
    proxy_node: str
    callflow_node: str
    tag: str


@dataclass(frozen=True, slots=True)
class LadderLine:
    """One SIP message of a call, or a notice about it."""

    seconds: float
    leg: str
    source: str
    destination: str
    first_line: str
    text: str
    transport: str = "UDP"


@dataclass(frozen=True, slots=True)
class WebhookLine:
    """One request of a webhook with its answer."""

    event_type: str
    seconds: float
    state: str
    url: str
    status: int | None
    latency_ms: int | None
    error: str
    request: str
    response: str
    delivery_id: str = ""
    synchronous: bool = False
    """Whether the call waited for its answer."""


@dataclass(frozen=True, slots=True)
class RecordingLine:
    """One recording of a call."""

    recording_id: str
    path: str
    duration_ms: int
    status: str = ""
    is_playable: bool = False
    file_format: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.duration_ms / 1000


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another call, in short."""

    call_id: str
    started_at: datetime
    from_uri: str
    source_ip: str
    end_class: str
    end_reason: str


@dataclass(frozen=True, slots=True)
class CallReport:
    """A call with all that happened in it; times are seconds since its first INVITE."""

    head: CallHead
    verdict: Verdict
    ladder: tuple[LadderLine, ...]
    media: tuple[MediaFigures, ...]
    webhooks: tuple[WebhookLine, ...]
    recordings: tuple[RecordingLine, ...]


def call_report(call_id: str) -> CallReport | None:
    """Return everything stored about a call, None if it is unknown."""
    rows = Call.objects.select_related("application").defer(*VoiceApplication.JOINED_SECRETS)
    call = rows.filter(pk=call_id).first()
    if call is None:
        return None
    events, media = _events(call_id), tuple(_media(call_id))
    return CallReport(
        head=_head(call),
        verdict=explain(_story(call, media, events)),
        ladder=tuple(_ladder_line(event, call.started_at) for event in events),
        media=media,
        webhooks=tuple(_webhooks(call)),
        recordings=tuple(_recordings(call)),
    )


def neighbours(call_id: str) -> tuple[Neighbour, ...]:
    """Return the calls of a call's application that began before it, the newest first."""
    call = Call.objects.filter(pk=call_id).only("application_id", "started_at").first()
    if call is None:
        return ()
    rows = Call.objects.filter(application=call.application_id, started_at__lt=call.started_at).order_by("-started_at")
    names = ("call_id", "started_at", "from_uri", "source_ip", "end_class", "end_reason")
    return tuple(Neighbour(**row) for row in rows.values(*names)[:MAX_NEIGHBOURS])


def call_messages(call_id: str) -> Iterator[StoredMessage]:
    """Yield the first `MAX_MESSAGES` stored messages of a call, in order, with few of them in memory at once."""
    rows = (
        CallEvent.objects.filter(call_id=call_id)
        .exclude(transport__in=NOTICES)
        .values_list("at", "transport", "source", "destination", "text")
    )
    for at, transport, source, destination, text in rows[:MAX_MESSAGES].iterator(MESSAGES_AT_ONCE):
        yield StoredMessage(at, transport, source, destination, text)


def _events(call_id: str) -> list[CallEvent]:
    """Return the first messages of a call and the last ones, in the order of their times."""
    rows = CallEvent.objects.filter(call_id=call_id)
    first = list(rows.order_by("at", "id")[:FIRST_MESSAGES])
    if len(first) < FIRST_MESSAGES:
        return first
    known = {event.pk for event in first}
    return first + [event for event in rows.order_by("-at", "-id")[:LAST_MESSAGES] if event.pk not in known][::-1]


def _head(call: Call) -> CallHead:
    return CallHead(
        call_id=call.call_id,
        sip_call_id=call.sip_call_id,
        account_id=call.account_id,
        application_id=str(call.application_id or ""),
        application_name=call.application.name if call.application else "",
        from_uri=call.from_uri,
        to_uri=call.to_uri,
        source_ip=call.source_ip,
        source=f"{call.source_ip}:{call.source_port}",
        country=call.country,
        state=call.state,
        end_class=call.end_class,
        end_reason=call.end_reason,
        cause=call.cause,
        sip_status=call.sip_status,
        error=call.error_message,
        error_id=call.error_id,
        started_at=call.started_at,
        setup_seconds=(call.answered_at - call.started_at).total_seconds() if call.answered_at else None,
        duration_seconds=call.duration_seconds,
        proxy_node=call.proxy_node,
        callflow_node=call.callflow_node,
        tag=call.tag,
    )


def _story(call: Call, media: tuple[MediaFigures, ...], events: Sequence[CallEvent]) -> Story:
    notices = [event.first_line for event in events if event.transport == MEDIA and event.first_line.startswith(_UNHEARD)]
    return Story(
        end_reason=EndReason(call.end_reason) if call.end_reason else None,
        answered=call.answered_at is not None,
        seconds=call.duration_seconds or 0.0,
        sip_status=call.sip_status,
        error=call.error_message,
        media=media,
        notice=notices[-1].removeprefix(_UNHEARD) if notices else "",
    )


def _ladder_line(event: CallEvent, start: datetime) -> LadderLine:
    seconds = (event.at - start).total_seconds()
    return LadderLine(seconds, event.leg, event.source, event.destination, event.first_line, event.text, event.transport)


def _media(call_id: str) -> Iterator[MediaFigures]:
    for leg in MediaLeg.objects.filter(call_id=call_id).values("leg", *FIGURE_NAMES):
        yield MediaFigures(side=leg.pop("leg"), **leg)


def _recordings(call: Call) -> Iterator[RecordingLine]:
    for row in call.recordings.order_by("started_at"):
        yield RecordingLine(row.recording_id, row.path, row.duration_ms, row.status, row.is_playable, row.file_format)


def _webhooks(call: Call) -> Iterator[WebhookLine]:
    for delivery in WebhookDelivery.without_secrets().filter(call=call).order_by("created_at").prefetch_related("attempts"):
        request = json.dumps(delivery.body, indent=2)
        attempts: Sequence[WebhookAttempt | None] = list(delivery.attempts.all()) or [None]
        for attempt in attempts:
            seconds = ((attempt.at if attempt else delivery.created_at) - call.started_at).total_seconds()
            yield WebhookLine(
                event_type=delivery.event_type,
                seconds=seconds,
                state=delivery.state,
                url=delivery.url,
                status=attempt.status if attempt else None,
                latency_ms=attempt.latency_ms if attempt else None,
                error=attempt.error if attempt else "",
                request=request,
                response=attempt.response_body if attempt else "",
                delivery_id=str(delivery.pk),
                synchronous=delivery.synchronous,
            )
