"""The reads of other rooms. They return frozen values, never ORM objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from voiceapps.choices import CallState, NodeState, WantedState
from voiceapps.models import Ban, Call, Node, RefusedAttempt, TrustedRange, VoiceApplication
from voiceapps.rules.bans import BanReason
from voiceapps.rules.reports import SourceBanned

NODE_LIVE_SECONDS = 10.0
POOL_SECONDS = 120.0
MAX_PER_QUERY = 500
MAX_ACTIVE_BANS = 10_000


@dataclass(frozen=True, slots=True)
class NodeView:
    """A live process."""

    name: str
    role: str
    state: str
    """`draining` from the moment at which an operator wants it, which is before the process knows."""
    public_address: str
    internal_address: str
    transports: tuple[tuple[str, int], ...]
    """The external transports of a proxy, with their ports."""
    load: int
    boot: str
    live: bool
    """Whether it is heard: its last heartbeat is at most `NODE_LIVE_SECONDS` old, and no further in the future."""


@dataclass(frozen=True, slots=True)
class CallApplication:
    """What the call flow needs of an application."""

    application_id: str
    account_id: str
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
    media_timeout: int
    keepalive: int
    mask_digits: bool


def ended_calls(call_ids: Sequence[str]) -> frozenset[str]:
    """Return those of the calls that have ended, by one query for each `MAX_PER_QUERY`."""
    chunks = (call_ids[start : start + MAX_PER_QUERY] for start in range(0, len(call_ids), MAX_PER_QUERY))
    over = Call.objects.filter(state=CallState.DISCONNECTED).order_by()
    return frozenset(call_id for chunk in chunks for call_id in over.filter(pk__in=chunk).values_list("pk", flat=True))


def active_bans() -> tuple[SourceBanned, ...]:
    """Return at most `MAX_ACTIVE_BANS` bans that are in force, those that last longest first."""
    rows = Ban.in_force(timezone.now()).order_by("-expires_at")[:MAX_ACTIVE_BANS]
    return tuple(
        SourceBanned(row.source_ip, BanReason(row.reason), row.node, row.banned_at.timestamp(), row.expires_at.timestamp()) for row in rows
    )


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What proxies learn of source addresses from the database."""

    bans: tuple[SourceBanned, ...]
    trusted: tuple[str, ...]
    """Ranges that operators trust."""


def source_rules() -> SourceRules:
    """Return the bans that are in force, and the trusted ranges."""
    return SourceRules(active_bans(), trusted_ranges())


def trusted_ranges() -> tuple[str, ...]:
    """Return the ranges that operators trust; those of the environment are not among them."""
    return tuple(TrustedRange.objects.order_by("network").values_list("network", flat=True))


def call_application(application_id: str) -> CallApplication | None:
    """Return an application's callback settings, None if it is gone."""
    row = VoiceApplication.objects.filter(pk=application_id).first()
    return None if row is None else as_call_application(row)


def as_call_application(row: VoiceApplication) -> CallApplication:
    """Return an application's callback settings."""
    return CallApplication(
        application_id=str(row.application_id),
        account_id=row.account_id,
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
        media_timeout=row.media_timeout,
        keepalive=row.keepalive,
        mask_digits=row.mask_digits,
    )


def live_nodes(role: str) -> tuple[NodeView, ...]:
    """Return the processes of a role that are heard, by name."""
    return tuple(node for node in known_nodes(role) if node.live)


def is_to_drain(name: str) -> bool:
    """Return whether an operator wants a node to drain."""
    return Node.objects.filter(pk=name, wanted=WantedState.DRAINING).exists()


def node_health(row: Node) -> str:
    """Return the state that a process reports, or `silent` where its heartbeats do not arrive."""
    return "silent" if _is_silent(row) and row.state != NodeState.DOWN else row.state


def _node_view(row: Node) -> NodeView:
    state = NodeState.DRAINING if row.wanted == WantedState.DRAINING else row.state
    places = row.public_address, row.internal_address, _transports(row)
    return NodeView(row.name, row.role, state, *places, row.load, row.boot, not _is_silent(row))


def _is_silent(row: Node) -> bool:
    # A living node beats anew within seconds after the clock was set back; a dead one seems to have beaten just now, or later.
    return abs((timezone.now() - row.seen_at).total_seconds()) > NODE_LIVE_SECONDS


def _transports(row: Node) -> tuple[tuple[str, int], ...]:
    pairs = (part.partition(":") for part in row.transports.split(",") if part)
    return tuple((name, int(port)) for name, _, port in pairs)


def known_nodes(role: str) -> tuple[NodeView, ...]:
    """Return the processes of a role that were live within `POOL_SECONDS` and have not reported their end: they may hold calls."""
    rows = Node.objects.filter(role=role, seen_at__gte=timezone.now() - timedelta(seconds=POOL_SECONDS)).exclude(state=NodeState.DOWN)
    return tuple(map(_node_view, rows))


def pool_of(known: Sequence[NodeView]) -> tuple[NodeView, ...]:
    """Return those of the known nodes of a role that are live or, if all of them are silent, all.

    If all nodes fall silent at once, the likely cause is a slow database, not their death. A node that has reported its end is never in the
    pool, and a caller of a dead node notices within a second.
    """
    return tuple(node for node in known if node.live) or tuple(known)


def newest_sources(most: int) -> dict[str, int]:
    """Return how often each address was the source of the newest calls, and of the newest rows of refused attempts: `most` of each."""
    calls = Call.objects.order_by("-started_at").values_list("source_ip", flat=True)[:most]
    refused = RefusedAttempt.objects.order_by("-last_at").values_list("source_ip", flat=True)[:most]
    return dict(Counter(address for address in (*calls, *refused) if address))


def node_pool(role: str) -> tuple[NodeView, ...]:
    """Return the processes of a role that take part in its work."""
    return pool_of(known_nodes(role))
