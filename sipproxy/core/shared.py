"""The data that several parts of the proxy work on, and the functions that the shell gives to the core."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import auto

from daemonkit.address import Address
from sipproxy.config import SipProxyConfig
from sipproxy.core.calls import CallBook
from sipproxy.core.events import EventQueue
from sipproxy.core.response_context import ContextId, ResponseContext
from sipproxy.core.targets import Targets
from sipproxy.transactions.layer import TransactionLayer
from sipproxy.transactions.listener import Listener
from sipproxy.transactions.tables import IdentityEnum
from sipproxy.transactions.timers import Timers


@dataclass(frozen=True, slots=True)
class CoreHooks:
    """Functions for what the core cannot know by itself: random tokens, the wall clock, countries, relays, connections."""

    new_token: Callable[[], str]
    """16 fresh hex digits or more."""
    new_call_id: Callable[[], str]
    """A fresh internal call id, 47 characters."""
    wall: Callable[[float], float]
    """Monotonic seconds to seconds since the epoch."""
    country_of: Callable[[str], str | None]
    """The country of an address."""
    is_trusted: Callable[[str], bool]
    """Whether a source is neither limited nor banned."""
    choose_relay: Callable[[Collection[Address]], Address | None]
    """The ng address of the relay for a new call, but for those that it has tried; None where no other takes it."""
    is_late: Callable[[float], bool]
    """Whether a request that arrives now may have been sent while the proxy was away."""
    is_connected: Callable[[Listener, Address], bool]
    """Whether a stream's connection with an address is open."""


@dataclass(slots=True)
class Drops:
    """Counts of what was dropped without an answer; each only grows."""

    malformed: int = 0
    silenced: int = 0
    """Requests of sources over their limit."""
    crowded: int = 0
    """Datagrams that found the queue in front of the proxy full."""
    strangers_inside: int = 0
    """Datagrams on the internal socket from an address that is no node of ours."""
    lost_acks: int = 0
    """ACKs without a token, or with a forged one."""
    early: int = 0
    """Requests inside dialogs that came before the proxy knew its nodes."""
    banned: int = 0
    """Messages of banned sources."""
    foreign: int = 0
    """Requests for foreign hosts, where these get no response."""


class ContextTimer(IdentityEnum):
    """The timers of a response context."""

    FAILOVER = auto()
    """The call-flow node that an INVITE went to is silent."""
    TIMER_C = auto()
    """An INVITE has no final response for too long (RFC 3261 16.6 step 11)."""


@dataclass(slots=True)
class Shared:
    """The tables of one proxy; made once, and only data."""

    config: SipProxyConfig
    hooks: CoreHooks
    calls: CallBook
    layers: dict[Listener, TransactionLayer] = field(init=False)
    """One transaction layer for each listener."""
    targets: Targets = field(init=False)
    own_hosts: frozenset[str] = field(init=False)
    """The addresses of all listeners."""
    proxies: frozenset[Address] = frozenset()
    """The internal addresses of the other proxies of the fleet."""
    contexts: dict[ContextId, ResponseContext] = field(default_factory=dict)
    """By server transaction."""
    by_client: dict[ContextId, ResponseContext] = field(default_factory=dict)
    """The same contexts by client transaction."""
    timers: Timers[tuple[ContextTimer, ContextId]] = field(default_factory=Timers)
    drops: Drops = field(default_factory=Drops)
    events: EventQueue = field(default_factory=EventQueue)
    draining: bool = False
    """Whether new calls are refused."""

    def __post_init__(self) -> None:
        config = self.config
        listeners = (*config.external, config.internal)
        watched = config.stores_messages or config.exports_messages
        self.layers = {
            listener: TransactionLayer(new_token=self.hooks.new_token, reliable=listener.transport.is_stream, watched=watched)
            for listener in listeners
        }
        self.own_hosts = frozenset(listener.address[0] for listener in listeners)
        self.targets = Targets(config.callflow_targets)
