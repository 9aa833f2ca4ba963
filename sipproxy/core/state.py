"""What the proxy's parts share: configuration, both transaction layers, open contexts, what waits to be told."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from daemonkit.address import Address
from sipproxy.admission.bans import Ban, BanBook, BanChange
from sipproxy.admission.source_limits import SourceLimits
from sipproxy.config import SipProxyConfig
from sipproxy.core.calls import CallBook
from sipproxy.core.events import BansChanged, ProxyEvent, ReportMade, ResponseSent
from sipproxy.core.limits import MAX_CALLS, MAX_EVENTS, RETRY_AFTER_SECONDS
from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.response_context import ContextId, ResponseContext
from sipproxy.core.targets import Targets
from sipproxy.sip import PeerError, Request, Response
from sipproxy.transactions.events import Key
from sipproxy.transactions.layer import TransactionLayer
from sipproxy.transactions.listener import Listener, Side, Transport
from sipproxy.transactions.timers import Timers
from voiceapps.rules.endings import EndReason
from voiceapps.rules.records import CallEnded, SourceBanned

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE")
# Requests that begin something: with one tag, From's, they belong to no dialog.
_OF_STRANGERS = tuple(f"{method} ".encode() for method in METHODS if method not in {"ACK", "CANCEL"}) + (
    b"REGISTER ",
    b"SUBSCRIBE ",
    b"PUBLISH ",
)
# Controls, and what turns the direction of writing round on a page.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class CoreHooks:
    """Hold what the core cannot know by itself: chance, the world's clock, countries, relays."""

    new_token: Callable[[], str]
    """16 fresh hex digits or more."""
    new_call_id: Callable[[], str]
    """A fresh internal call id, 47 characters."""
    wall: Callable[[float], float]
    """Monotonic seconds to seconds since the epoch."""
    country_of: Callable[[str], str | None]
    """The country of an address."""
    choose_relay: Callable[[], Address | None]
    """The ng address of a relay that lives."""
    is_connected: Callable[[Listener, Address], bool]
    """Whether a stream's connection with an address is open."""


@dataclass(slots=True)
class Drops:
    """Count what was dropped without an answer; each only grows."""

    malformed: int = 0
    silenced: int = 0
    """Requests of sources over their limit."""
    crowded: int = 0
    """Datagrams that found the line in front of the proxy full."""
    strangers_inside: int = 0
    """Datagrams on the internal socket from no node of ours."""
    lost_acks: int = 0
    """ACKs without a token, or with a forged one."""
    banned: int = 0
    """Messages of banned sources."""
    foreign: int = 0
    """Requests for hosts that are not ours, where these are to get no answer."""


@dataclass(slots=True)
class State:
    """Hold the shared parts; made once for each proxy."""

    config: SipProxyConfig
    sources: CoreHooks
    max_calls: int = MAX_CALLS
    draining: bool = False
    drops: Drops = field(default_factory=Drops)
    layers: dict[Listener, TransactionLayer] = field(init=False)
    targets: Targets = field(init=False)
    limits: SourceLimits = field(init=False)
    bans: BanBook = field(init=False)
    calls: CallBook = field(init=False)
    ladder: MessageTrace = field(init=False)
    timers: Timers[tuple[str, ContextId]] = field(default_factory=Timers)
    contexts: dict[ContextId, ResponseContext] = field(default_factory=dict)
    by_client: dict[ContextId, ResponseContext] = field(default_factory=dict)
    events: deque[ProxyEvent] = field(default_factory=deque)
    own_hosts: frozenset[str] = field(init=False)
    _serial: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        new_token = self.sources.new_token
        listeners = (*self.config.external, self.config.internal)
        watched = self.config.stores_messages or self.config.exports_messages
        self.layers = {
            listener: TransactionLayer(new_token=new_token, reliable=listener.transport.is_stream, watched=watched)
            for listener in listeners
        }
        self.own_hosts = frozenset(listener.address[0] for listener in listeners)
        self.targets = Targets(self.config.callflow_targets)
        self.limits = SourceLimits(self.config.trusted)
        self.bans = BanBook(is_trusted=self.limits.is_trusted)
        self.calls = CallBook(max_calls=self.max_calls)
        self.ladder = MessageTrace(self.config, wall=self.sources.wall, tell=self.tell)

    @property
    def has_static_targets(self) -> bool:
        """Tell whether nobody but the proxy can end the call records."""
        return bool(self.config.callflow_targets)

    def listener(self, transport: Transport, index: int) -> Listener:
        """Return the listener outside that a token names, or the nearest thing this node has to it."""
        external = self.config.external
        alike = [held for held in external if held.transport is transport] or external
        return next((held for held in alike if held.index == index), alike[0])

    def new_key(self) -> str:
        """Return a name for a question to the shell."""
        return str(next(self._serial))

    def tell(self, event: ProxyEvent) -> None:
        """Queue an event."""
        if len(self.events) < MAX_EVENTS:
            self.events.append(event)

    # CoreHooks.

    def count_request(self, source_ip: str, now: float) -> bool:
        """Count one unauthenticated request; False where the source is over a limit, which bans it where it goes on."""
        if self.limits.admit(source_ip, now):
            return True
        self.ban(self.bans.count_refused(source_ip, now))
        return False

    def count_flood(self, source_ip: str, data: bytes, now: float) -> bool:
        """Tell whether a message is of a flood that meets silence anyway, so that it need not be read; counts it then."""
        if not self.limits.is_silenced(source_ip, now) or not data.startswith(_OF_STRANGERS) or data.lower().count(b"tag") > 1:
            return False
        self.ban(self.bans.count_refused(source_ip, now))
        return True

    def ban(self, ban: Ban | None) -> None:
        """Tell of a ban that was made here, if one was."""
        if ban is None:
            return
        at, until = self.sources.wall(ban.at), self.sources.wall(ban.until)
        self.tell(ReportMade(SourceBanned(ban.source_ip, ban.reason, self.config.name, at, until)))
        self.tell(BansChanged(BanChange(banned=(ban,))))

    def ignores(self, listener: Listener, request: Request, source: Address) -> bool:
        """Tell whether a request names a host that is not ours and gets no answer for it."""
        if not self.config.drop_foreign_hosts or listener.side is Side.INTERNAL or self.limits.is_trusted(source[0]):
            return False
        try:
            return request.uri.host_key not in self.config.hosts
        except PeerError:
            # It names no host at all.
            return True

    # Responses.

    def make_response(self, request: Request, status: int, reason: str | None = None) -> Response:
        """Make a response of our own; a 503 says when to come back."""
        response = request.make_response(status, reason, to_tag=self.sources.new_token())
        if status == 503:
            response.append("Retry-After", str(RETRY_AFTER_SECONDS))
        return response

    def answer(self, listener: Listener, request: Request, response: Response, source: Address) -> None:
        """Send a response without any state."""
        self.layers[listener].answer(request, response, source)
        self._count(listener, request, response)

    def finish(self, listener: Listener, key: Key, request: Request, response: Response) -> None:
        """Send a final response through a transaction and forget it at once."""
        self.layers[listener].finish(key, response)
        self._count(listener, request, response)

    def refuse(self, context: ResponseContext, status: int, now: float) -> None:
        """Send a final response of our own to a request that was let through."""
        self.respond(context, self.make_response(context.request, status), now)

    def respond(self, context: ResponseContext, response: Response, now: float) -> None:
        """Send a response through the request's transaction."""
        context.finished = context.finished or response.is_final
        self.layers[context.listener].respond(context.key, response, now)
        self.trace(context.call_id, context.listener, response, now, sent_to=context.source)
        self._count(context.listener, context.request, response)

    def _count(self, listener: Listener, request: Request, response: Response) -> None:
        if listener.side is Side.EXTERNAL:
            self.tell(ResponseSent(method_label(request.method), response.status))

    # Records.

    def trace(
        self,
        call_id: str,
        listener: Listener,
        message: Request | Response | bytes,
        now: float,
        *,
        sent_to: Address | None = None,
        came_from: Address = ("", 0),
    ) -> None:
        """Add a message to its call's ladder: one that came from an address, or one that was sent to one."""
        self.ladder.trace(call_id, listener, message, now, came_from=came_from, sent_to=sent_to)

    def end_call(self, call_id: str, reason: EndReason, now: float, *, status: int | None = None, ours: bool = False) -> None:
        """Forget a call; record its end where the call flow cannot: `ours`, or static targets."""
        call = self.calls.remove(call_id)
        if call is not None:
            self.calls.close(call_id, now)
        if call is None or not (ours or self.has_static_targets):
            return
        answered = None if call.answered_at is None else self.sources.wall(call.answered_at)
        at = self.sources.wall(now)
        self.tell(ReportMade(CallEnded(call.facts, self.config.name, at, reason, answered, status, None, None, None)))


def method_label(method: str) -> str:
    """Return a method for a metric's label: a closed set, whatever peers invent."""
    return method if method in METHODS else "OTHER"


def printable(text: str) -> str:
    """Replace control characters and octets that are no text: neither a database nor a terminal should meet them."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub("\ufffd", _decoded(text))


def _decoded(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
