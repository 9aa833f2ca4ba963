"""All reads for other rooms: frozen values out, no ORM object (D3)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Count, Q
from django.utils import timezone

from voiceapps.choices import CallState, NodeState
from voiceapps.models import Call, CallEvent, MediaLeg, Node, VoiceApplication, WebhookAttempt
from voiceapps.rules.admission import AdmissionSnapshot
from voiceapps.rules.endings import EndReason
from voiceapps.rules.limits import CallCount, Limits

NODE_LIVE_SECONDS = 10.0
POOL_SECONDS = 120.0
MAX_PER_QUERY = 500

# An unknown user asks the database like a known one, so that time tells nothing (D2).
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A live process."""

    name: str
    role: str
    state: str
    public_address: str
    internal_address: str
    transports: tuple[tuple[str, int], ...]
    "What a proxy speaks outside, and at which port."
    load: int


@dataclass(frozen=True, slots=True)
class CallApplication:
    """What the call flow needs of an application."""

    application_id: str
    account_id: str
    application_name: str
    initiated_url: str
    initiated_method: str
    initiated_fallback_url: str
    initiated_fallback_method: str
    username: str
    password: str = field(repr=False)
    fallback_username: str
    fallback_password: str = field(repr=False)
    status_url: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class ProxyRun:
    """A proxy process, which counts the calls that it admitted since its start itself."""

    name: str
    since: datetime


def admission_snapshots(users: Sequence[str], *, asking: ProxyRun | None) -> dict[str, AdmissionSnapshot]:
    """Return the applications that these SIP user parts name, by the user part in lower case.

    One query, and a second one where one of them or its account has a limit of concurrent calls: then the snapshot carries the live calls
    that `asking` does not hold, with None all of them.
    """
    ids = [_canonical_uuid(user) for user in users]
    named = Q(sip_alias__in=ids) | Q(application_id__in=ids)
    applications = list(VoiceApplication.objects.filter(named).select_related("credential", "account"))
    elsewhere = _calls_elsewhere(applications, asking)
    wanted = {user.lower() for user in users}
    found: dict[str, AdmissionSnapshot] = {}
    for application in applications:
        snapshot = _admission_snapshot(application, elsewhere)
        found.update(dict.fromkeys(snapshot.users & wanted, snapshot))
    return found


def ended_calls(call_ids: Sequence[str]) -> frozenset[str]:
    """Return those of the calls that are over; one query for each 500."""
    chunks = (call_ids[start : start + MAX_PER_QUERY] for start in range(0, len(call_ids), MAX_PER_QUERY))
    over = Call.objects.filter(state=CallState.DISCONNECTED).order_by()
    return frozenset(call_id for chunk in chunks for call_id in over.filter(pk__in=chunk).values_list("pk", flat=True))


def call_application(application_id: str) -> CallApplication | None:
    """Return an application's callback settings, None if it is gone."""
    row = VoiceApplication.objects.filter(pk=application_id).first()
    if row is None:
        return None
    return CallApplication(
        application_id=str(row.application_id),
        account_id=row.account_id,
        application_name=row.name,
        initiated_url=row.initiated_url,
        initiated_method=row.initiated_method,
        initiated_fallback_url=row.initiated_fallback_url,
        initiated_fallback_method=row.initiated_fallback_method,
        username=row.callback_username,
        password=row.callback_password,
        fallback_username=row.fallback_username,
        fallback_password=row.fallback_password,
        status_url=row.status_url,
        timeout_seconds=row.callback_timeout,
    )


def live_nodes(role: str, *, seconds: float = NODE_LIVE_SECONDS) -> tuple[NodeView, ...]:
    """Return the processes of a role that beat within so many seconds, in the order of their names."""
    rows = Node.objects.filter(role=role, seen_at__gte=timezone.now() - timedelta(seconds=seconds)).exclude(state=NodeState.DOWN)
    return tuple(
        NodeView(row.name, row.role, row.state, row.public_address, row.internal_address, _transports(row), row.load) for row in rows
    )


def _transports(row: Node) -> tuple[tuple[str, int], ...]:
    pairs = (part.partition(":") for part in row.transports.split(",") if part)
    return tuple((name, int(port)) for name, _, port in pairs)


def node_pool(role: str) -> tuple[NodeView, ...]:
    """Return the live processes of a role, or, where all went silent at once, those that beat last.

    Silence of every node speaks of a database that is slow to write, not of nodes that all died in one moment; a node that said good bye is
    never in the pool, and who calls a dead one notices within a second.
    """
    return live_nodes(role) or live_nodes(role, seconds=POOL_SECONDS)


def _calls_elsewhere(applications: Sequence[VoiceApplication], asking: ProxyRun | None) -> dict[str | UUID | None, int]:
    """Return live calls that the asking proxy does not count itself, by application id and by account id, where one is limited."""
    limited = [row for row in applications if row.max_calls is not None or row.account.max_calls is not None]
    if not limited:
        return {}
    live = Call.objects.filter(~Q(state=CallState.DISCONNECTED), account_id__in={row.account_id for row in limited}).order_by()
    if all(row.account.max_calls is None for row in limited):
        live = live.filter(application_id__in=[row.pk for row in limited])
    if asking is not None:
        # A call without a node was reported by its call flow first; its proxy, perhaps the one that asks, reports it within a moment.
        live = live.exclude(Q(proxy_node="") | Q(proxy_node=asking.name, started_at__gte=asking.since))
    found: Counter[str | UUID | None] = Counter()
    for account_id, application_id, count in live.values_list("account_id", "application_id").annotate(Count("pk")):
        found[account_id] += count
        found[application_id] += count
    return found


def _admission_snapshot(application: VoiceApplication, elsewhere: Mapping[str | UUID | None, int]) -> AdmissionSnapshot:
    account = application.account
    users = {str(application.application_id)} | ({str(application.sip_alias)} if application.sip_alias else set())
    return AdmissionSnapshot(
        application_id=str(application.application_id),
        account_id=application.account_id,
        enabled=application.inbound_sip_enabled,
        users=frozenset(users),
        password_auth=application.password_auth_enabled,
        allowed_source_ips=tuple(application.allowed_source_ips),
        allowed_regions=tuple(application.allowed_regions),
        digest_algorithms=tuple(application.digest_algorithms),
        ha1=_ha1(application),
        application_limits=Limits(application.max_calls, application.max_calls_per_second),
        account_limits=Limits(account.max_calls, account.max_calls_per_second),
        calls_elsewhere=CallCount(
            0 if application.max_calls is None else elsewhere.get(application.pk, 0),
            0 if account.max_calls is None else elsewhere.get(account.pk, 0),
        ),
    )


def _ha1(application: VoiceApplication) -> tuple[tuple[str, str, str], ...]:
    try:
        stored = application.credential.secrets
    except ObjectDoesNotExist:
        return ()
    return tuple((username, algorithm, digest) for username, algorithm, digest in json.loads(stored))


def _canonical_uuid(user: str) -> UUID:
    try:
        value = UUID(user)
    except ValueError:
        return _NOBODY
    return value if str(value) == user.lower() else _NOBODY


@dataclass(frozen=True, slots=True)
class LadderLine:
    """One SIP message of a call."""

    seconds: float
    leg: str
    source: str
    destination: str
    first_line: str
    text: str


@dataclass(frozen=True, slots=True)
class MediaFigures:
    """One side of a call's media."""

    leg: str
    packets_in: int
    packets_out: int
    lost: int
    jitter_ms: float
    advertised: str
    observed: str


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


@dataclass(frozen=True, slots=True)
class RecordingLine:
    """One recording of a call."""

    recording_id: str
    path: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class CallReport:
    """A call as its page and the demo tell it; times are seconds since its first INVITE."""

    call_id: str
    state: str
    end_class: str
    end_reason: str
    cause: str
    duration_seconds: float | None
    setup_seconds: float | None
    ladder: tuple[LadderLine, ...]
    media: tuple[MediaFigures, ...]
    webhooks: tuple[WebhookLine, ...]
    recordings: tuple[RecordingLine, ...]


def call_report(call_id: str) -> CallReport | None:
    """Return everything stored about a call, None if it is unknown."""
    call = Call.objects.filter(pk=call_id).first()
    if call is None:
        return None
    start = call.started_at
    return CallReport(
        call_id=call.call_id,
        state=call.state,
        end_class=call.end_class,
        end_reason=call.end_reason,
        cause=EndReason(call.end_reason).cause if call.end_reason else "",
        duration_seconds=call.duration_seconds,
        setup_seconds=(call.answered_at - start).total_seconds() if call.answered_at else None,
        ladder=tuple(_ladder(call_id, start)),
        media=tuple(
            MediaFigures(leg.leg, leg.packets_in, leg.packets_out, leg.lost, leg.jitter_ms, leg.advertised, leg.observed)
            for leg in MediaLeg.objects.filter(call_id=call_id)
        ),
        webhooks=tuple(_webhooks(call, start)),
        recordings=tuple(RecordingLine(row.recording_id, row.path, row.duration_ms) for row in call.recordings.all()),
    )


def _ladder(call_id: str, start: datetime) -> Iterator[LadderLine]:
    for event in CallEvent.objects.filter(call_id=call_id):
        seconds = (event.at - start).total_seconds()
        yield LadderLine(seconds, event.leg, event.source, event.destination, event.first_line, event.text)


def _webhooks(call: Call, start: datetime) -> Iterator[WebhookLine]:
    for delivery in call.webhooks.order_by("created_at").prefetch_related("attempts"):
        request = json.dumps(delivery.body, indent=2)
        attempts: Sequence[WebhookAttempt | None] = list(delivery.attempts.all()) or [None]
        for attempt in attempts:
            seconds = ((attempt.at if attempt else delivery.created_at) - start).total_seconds()
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
            )
