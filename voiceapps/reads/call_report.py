"""What is known of one call: the reads of its page, of the demo and of capture files. They return frozen values, never ORM objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet

from voiceapps.models import Call, CallEvent, MediaLeg, VoiceApplication, WebhookAttempt, WebhookDelivery
from voiceapps.models.webhooks import MAX_SHOWN_ATTEMPTS
from voiceapps.rules.diagnosis.deliveries import kind
from voiceapps.rules.diagnosis.notices import MEDIA, NOTICES
from voiceapps.rules.diagnosis.pcap import StoredMessage
from voiceapps.rules.diagnosis.personal import short_address, short_text, short_uri
from voiceapps.rules.diagnosis.verdicts import Story, Verdict, explain
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import FIGURE_NAMES, MediaFigures

FIRST_MESSAGES, LAST_MESSAGES = 400, 100  # on the page of one call: how it began, and how it ended
FIRST_WEBHOOKS, LAST_WEBHOOKS = 150, 50  # likewise, each with its newest requests
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
    fallback: str = ""
    """In words, what a fallback has to do with it; empty where none is needed."""
    is_last: bool = True
    """Whether it is the last attempt of its delivery."""

    @property
    def kind(self) -> str:
        """Whether the call waited for its answer, and got it."""
        return kind(self.state, self.status, synchronous=self.synchronous)


@dataclass(frozen=True, slots=True)
class RecordingLine:
    """One recording of a call."""

    recording_id: str
    path: str
    duration_ms: int
    status: str = ""
    is_playable: bool = False
    file_format: str = ""
    began: float = 0.0
    """Seconds since the call's first INVITE."""

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
    has_more_webhooks: bool
    """Whether some between the first and the last ones are left out."""
    recordings: tuple[RecordingLine, ...]
    policy: tuple[Mapping[str, str], ...]
    """What each rule of admission expected and saw: `rule`, `verdict`, `expected`, `seen`."""


def call_report(call_id: str, account: str | None = None, *, personal: bool = True) -> CallReport | None:
    """Return everything stored about a call, None if it is unknown, or not one of `account`.

    Without `personal`, numbers and addresses of the caller are shortened where we write them; SIP messages and webhooks are as they are.
    """
    call = _calls(account).select_related("application").defer(*VoiceApplication.JOINED_SECRETS).filter(pk=call_id).first()
    if call is None:
        return None
    events, media = _events(call_id), tuple(_media(call_id))
    deliveries, has_more = _deliveries(call_id)
    if not personal:
        media = tuple(_shortened(side) for side in media)
    return CallReport(
        head=_head(call) if personal else _shortened_head(_head(call)),
        verdict=explain(_story(call, media, events if personal else ())),
        ladder=tuple(_ladder_line(event, call.started_at) for event in events),
        media=media,
        webhooks=_with_fallbacks(list(_webhooks(call, deliveries))),
        has_more_webhooks=has_more,
        recordings=tuple(_recordings(call)),
        policy=tuple(call.policy if personal else map(_shortened_rule, call.policy)),
    )


def neighbours(call_id: str, account: str | None = None, *, personal: bool = True) -> tuple[Neighbour, ...]:
    """Return the calls of a call's application that began before it, the newest first."""
    call = _calls(account).filter(pk=call_id).only("application_id", "started_at").first()
    if call is None or call.application_id is None:
        return ()
    rows = Call.objects.filter(application=call.application_id, started_at__lt=call.started_at).order_by("-started_at")
    names = ("call_id", "started_at", "from_uri", "source_ip", "end_class", "end_reason")
    found = tuple(Neighbour(**row) for row in rows.values(*names)[:MAX_NEIGHBOURS])
    if personal:
        return found
    return tuple(replace(row, from_uri=short_uri(row.from_uri), source_ip=short_address(row.source_ip)) for row in found)


def call_messages(call_id: str) -> Iterator[StoredMessage]:
    """Yield the first `MAX_MESSAGES` stored messages of a call, in order, with few of them in memory at once."""
    rows = (
        CallEvent.objects.filter(call_id=call_id)
        .exclude(transport__in=NOTICES)
        .values_list("at", "transport", "source", "destination", "text")
    )
    for at, transport, source, destination, text in rows[:MAX_MESSAGES].iterator(MESSAGES_AT_ONCE):
        yield StoredMessage(at, transport, source, destination, text)


def _calls(account: str | None) -> QuerySet[Call]:
    return Call.objects.all() if account is None else Call.objects.filter(account_id=account)


def _shortened_head(head: CallHead) -> CallHead:
    address = short_address(head.source_ip)
    return replace(head, from_uri=short_uri(head.from_uri), source_ip=address, source=address, sip_call_id="…")


def _shortened(side: MediaFigures) -> MediaFigures:
    return replace(side, advertised=short_text(side.advertised), observed=short_text(side.observed))


def _shortened_rule(rule: Mapping[str, str]) -> Mapping[str, str]:
    return {name: short_text(text) for name, text in rule.items()}


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
        seconds=call.duration_seconds or 0.0,
        sip_status=call.sip_status,
        error=call.error_message,
        media=media,
        notice=notices[-1].removeprefix(_UNHEARD) if notices else "",
    )


def _ladder_line(event: CallEvent, start: datetime) -> LadderLine:
    return LadderLine(_since(start, event.at), event.leg, event.source, event.destination, event.first_line, event.text, event.transport)


def _since(start: datetime, at: datetime) -> float:
    """Return the seconds of a call at a time; less than half a millisecond before its start would be shown as -0.000."""
    seconds = (at - start).total_seconds()
    return 0.0 if -0.0005 < seconds < 0 else seconds


def _media(call_id: str) -> Iterator[MediaFigures]:
    for leg in MediaLeg.objects.filter(call_id=call_id).values("leg", *FIGURE_NAMES):
        yield MediaFigures(side=leg.pop("leg"), **leg)


def _recordings(call: Call) -> Iterator[RecordingLine]:
    for row in call.recordings.order_by("started_at"):
        began = _since(call.started_at, row.started_at)
        yield RecordingLine(row.recording_id, row.path, row.duration_ms, row.status, row.is_playable, row.file_format, began)


def _deliveries(call_id: str) -> tuple[list[Any], bool]:
    """Return the first webhooks of a call and the last ones, each with its newest requests, and whether there are more."""
    requests = Prefetch("attempts", WebhookAttempt.objects.order_by("-at", "-id")[:MAX_SHOWN_ATTEMPTS], to_attr="newest")
    rows = WebhookDelivery.without_secrets().filter(call=call_id).prefetch_related(requests)
    first = list(rows.order_by("created_at", "delivery_id")[: FIRST_WEBHOOKS + LAST_WEBHOOKS + 1])
    if len(first) <= FIRST_WEBHOOKS + LAST_WEBHOOKS:
        return first, False
    return first[:FIRST_WEBHOOKS] + list(rows.order_by("-created_at", "-delivery_id")[:LAST_WEBHOOKS])[::-1], True


def _webhooks(call: Call, deliveries: Iterable[Any]) -> Iterator[WebhookLine]:
    for delivery in deliveries:
        request = json.dumps(delivery.body, indent=2)
        attempts: Sequence[WebhookAttempt | None] = delivery.newest[::-1] or [None]
        for attempt in attempts:
            seconds = _since(call.started_at, attempt.at if attempt else delivery.created_at)
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
                is_last=attempt is attempts[-1],
            )


def _with_fallbacks(lines: list[WebhookLine]) -> tuple[WebhookLine, ...]:
    """Say of each request that failed a call whether its fallback was asked: that is the next one, with the same body."""
    waited = [at for at, line in enumerate(lines) if line.synchronous]
    for place, at in enumerate(waited):
        line = lines[at]
        if line.state != "failed" or line.fallback:
            continue
        following = next((other for other in waited[place + 1 : place + 2] if lines[other].request == line.request), None)
        lines[at] = replace(line, fallback="no fallback was asked" if following is None else "its fallback was asked")
        if following is not None:
            lines[following] = replace(lines[following], fallback="asked as the fallback")
    return tuple(lines)
