"""The SIP proxy as one object without input or output.

Theory of operation. The proxy has two sides: callers outside, whom it does not trust, and call-flow nodes inside. Each listener
has a transaction layer of its own, and what a datagram may do depends on the side that it came to.

An INVITE from outside without a To tag starts at the guard. The guard asks the shell for the applications that the request
names (`DirectoryWanted`), decides, and either refuses without keeping any state, or admits the call. An admitted INVITE gets a
response context: a server transaction outside, client transactions inside, and the facts that connect them. Its offer passes a
media relay (`RelayWanted`), then it goes to a node; a node that is silent for a second is passed over. Responses come back
through the context, the answers in them through the relay.

No dialog is remembered. All that a later request needs (node, relay, call id, the caller's true address) travels in the
token of our Record-Route entry (record_route.py), so any proxy of the fleet can serve any dialog. A request with a To tag but
without a good token is refused. The call book counts calls and knows when they end; it routes nothing.

The parts: `source_gate` (limits and bans), `lookup` and `guard` (which requests are let through), `call_start` and `forward`
(requests on their way), `responses` and `recovery` (responses on their way back), `call_end` (every end of a call). What several
of them work on is data, in `shared`.

One face, as every core of ours:

    proxy = ProxyCore(config, hooks)
    proxy.receive_datagram(listener, data, address, now)
    proxy.handle_timer(now)                                  # when get_timer() is due
    for datagram in proxy.datagrams_to_send(): …             # listener, data, address
    while (event := proxy.next_event()) is not None: …       # events.py
    proxy.directory_answered(key, snapshots_or_None, now)
    proxy.relay_answered(key, reply_or_None, now)
    proxy.claim_answered(key, granted_or_None, now)
    granted = proxy.grant(claim, now)                        # of another worker
    proxy.share_nonces(mark_or_None)                         # of the fleet's store of claims
    proxy.replace_nodes(up, known)                           # without static targets
    proxy.replace_proxies(others)                            # of the fleet
    proxy.forget_calls(call_ids)                             # those of settled_calls(now) that have ended: likewise
    proxy.replace_bans(bans, now)                            # all that the database holds, those of other proxies too
    proxy.connection_failed(listener, address, now)          # of a stream
    proxy.set_draining(draining)                             # new calls are refused
    proxy.settle()                                           # as the last thing

Nothing that a peer sends raises out of here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daemonkit.address import Address
from sipproxy.admission.nonces import Claim
from sipproxy.config import SipProxyConfig
from sipproxy.core.call_end import CallEnd
from sipproxy.core.call_start import CallStart
from sipproxy.core.calls import CallBook
from sipproxy.core.events import Datagram, ProxyEvent
from sipproxy.core.forward import DialogForwarder, RequestSender
from sipproxy.core.guard import Guard
from sipproxy.core.limits import MAX_CALLS, SETTLED_SECONDS
from sipproxy.core.lookup import Lookup
from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.recovery import Recovery
from sipproxy.core.relay_broker import RelayBroker, has_description
from sipproxy.core.responder import Responder
from sipproxy.core.response_context import ContextId
from sipproxy.core.responses import ResponseForwarder
from sipproxy.core.shared import ContextTimer, CoreHooks, Drops, Shared
from sipproxy.core.source_gate import SourceGate
from sipproxy.headers import edits
from sipproxy.sip import BadRequestError, PeerError, Request, Response, is_keepalive, parse_message
from sipproxy.transactions.events import (
    AckReceived,
    Cancelled,
    Key,
    MessageHandled,
    RequestTimedOut,
    ResponseReceived,
    StraySuccess,
    TransactionEnded,
    TransactionEvent,
)
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.admission import AdmissionSnapshot
from voiceapps.rules.reports import SourceBanned


@dataclass(frozen=True, slots=True)
class Load:
    """How much the proxy holds; all zero about 70 s after the last call."""

    calls: int
    contexts: int
    transactions: int
    lookups: int
    relay_waits: int


class ProxyCore:
    """The proxy without input and output; see the module's text."""

    def __init__(self, config: SipProxyConfig, hooks: CoreHooks, *, max_calls: int = MAX_CALLS) -> None:
        shared = self._shared = Shared(config, hooks, CallBook(max_calls=max_calls))
        tell = shared.events.tell
        trace = self._trace = MessageTrace(config, wall=hooks.wall, tell=tell, shows_digits=shared.calls.shows_digits)
        broker = self._broker = RelayBroker(tell)
        gate = self._gate = SourceGate(config, wall=hooks.wall, is_trusted=hooks.is_trusted, drops=shared.drops, tell=tell)
        responder = self._responder = Responder(shared.layers, trace, new_token=hooks.new_token, tell=tell)
        sender = RequestSender(shared, trace)
        ends = self._ends = CallEnd(shared, responder=responder, trace=trace, broker=broker)
        start = CallStart(shared, responder=responder, trace=trace, broker=broker, sender=sender, ends=ends)
        dialogs = DialogForwarder(shared, responder=responder, trace=trace, broker=broker, sender=sender)
        self._responses = ResponseForwarder(shared, responder=responder, trace=trace, broker=broker, start=start, ends=ends)
        self._recovery = Recovery(shared, trace=trace, broker=broker)
        self._guard = Guard(shared, gate=gate, responder=responder, on_admitted=start.start_call)
        self._lookup = Lookup(shared, gate=gate, responder=responder, guard=self._guard, dialogs=dialogs)

    # The one face.

    def receive_datagram(self, listener: Listener, data: bytes, address: Address, now: float, *, passed_at: int | None = None) -> None:
        """Take one datagram, or one framed message of a stream.

        `passed_at` is the `gate_revision` at which `drops_unread` let it pass: it is asked again only where that has grown since.
        """
        if is_keepalive(data):
            return
        if listener.side is Side.INTERNAL and not (self._shared.targets.knows(address) or address in self._shared.proxies):
            self._shared.drops.strangers_inside += 1
            return
        if listener.side is Side.EXTERNAL and passed_at != self._gate.revision and self._gate.drops_unread(data, address, now):
            return
        try:
            message = parse_message(data)
            self._receive(listener, message, address, now)
        except PeerError as error:
            self._shared.drops.malformed += 1
            if isinstance(error, BadRequestError):
                self._lookup.answer_broken(listener, error, address, now)
        self._drain_layers(now)

    def drops_unread(self, data: bytes, address: Address, now: float) -> bool:
        """Return whether a message from outside is to be dropped unread, and count it then."""
        return self._gate.drops_unread(data, address, now)

    @property
    def gate_revision(self) -> int:
        """A number that grows whenever a source may have become banned or silenced."""
        return self._gate.revision

    @property
    def has_events(self) -> bool:
        """True if events wait."""
        return bool(self._shared.events.waiting)

    def is_known(self, source_ip: str, now: float) -> bool:
        """Return whether a source is served before strangers: it is trusted, or had a call admitted a short while ago."""
        return self._gate.is_known(source_ip, now)

    def count_crowded(self, source_ip: str, now: float) -> None:
        """Count a datagram that had to be dropped as too many wait; a source with very many of these is banned for a flood."""
        self._gate.count_crowded(source_ip, now)

    def datagrams_to_send(self) -> list[Datagram]:
        """Take what is to be sent."""
        return [
            Datagram(listener, data, address)
            for listener, layer in self._shared.layers.items()
            for data, address in layer.datagrams_to_send()
        ]

    def get_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        shared = self._shared
        layers = (layer.get_timer() for layer in shared.layers.values())
        timers = (*layers, shared.timers.next(), self._guard.get_timer(), shared.calls.get_timer(), self._ends.get_timer())
        return min((when for when in timers if when is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Run every timer that is due."""
        for layer in self._shared.layers.values():
            layer.handle_timer(now)
        self._drain_layers(now)
        self._guard.handle_timer(now)
        while (due := self._shared.timers.pop_due(now)) is not None:
            self._on_timer(*due, now)
        self._ends.end_overdue(now)
        self._ends.write_owed(now)
        self._drain_layers(now)

    def next_event(self) -> ProxyEvent | None:
        """Take the oldest event, None when there is none."""
        waiting = self._shared.events.waiting
        return waiting.popleft() if waiting else None

    # Commands.

    def directory_answered(self, key: str, snapshots: Mapping[str, AdmissionSnapshot] | None, now: float) -> None:
        """Answer `DirectoryWanted`: applications by user part, None where the database did not answer."""
        self._guard.receive_answer(key, snapshots, now)
        self._drain_layers(now)

    def relay_answered(self, key: str, reply: Mapping[bytes, object] | None, now: float) -> None:
        """Answer `RelayWanted`: the relay's dictionary, None where it was silent."""
        self._broker.receive(key, reply, now)
        self._drain_layers(now)

    def claim_answered(self, key: str, granted: bool | None, now: float) -> None:
        """Answer `ClaimWanted`: whether the claim is granted, None where nobody could say."""
        self._guard.receive_claim(key, granted, now)
        self._drain_layers(now)

    def grant(self, claim: Claim, now: float) -> bool:
        """Return whether a claim of another worker of this node is granted."""
        return self._guard.grant(claim, now)

    def share_nonces(self, mark: bytes | None) -> None:
        """Take the mark of the store in which the fleet claims nonces, None while it cannot be reached."""
        self._guard.share_nonces(mark)

    def replace_nodes(self, up: tuple[Address, ...], known: tuple[Address, ...]) -> None:
        """Take the call-flow nodes: those that take calls, least loaded first, and all that dialogs may still live on."""
        self._shared.targets.replace(up, known)

    def replace_proxies(self, others: Iterable[Address]) -> None:
        """Take the internal addresses of the other proxies of the fleet."""
        self._shared.proxies = frozenset(others) - {self._shared.config.internal.address}

    def settled_calls(self, now: float) -> tuple[str, ...]:
        """Return the ids of the calls that began so long ago that the database would know of their end."""
        return self._shared.calls.older_than(now - SETTLED_SECONDS)

    def forget_calls(self, call_ids: Iterable[str]) -> None:
        """Forget calls whose end is recorded already: no BYE of them passed here, as when their node died."""
        self._ends.forget(call_ids)

    def replace_bans(self, bans: Iterable[SourceBanned], now: float) -> None:
        """Take the bans that the database holds: of all proxies and of operators."""
        self._gate.replace_bans(bans, now)

    def is_banned(self, source_ip: str, now: float) -> bool:
        """Return whether a source is banned."""
        return self._gate.is_banned(source_ip, now)

    def count_bans(self, now: float) -> int:
        """Return how many sources are banned."""
        return self._gate.count_bans(now)

    def connection_failed(self, listener: Listener, address: Address, now: float) -> None:
        """Give up the requests that went to an address: its connection is gone, or could not be opened."""
        self._shared.layers[listener].fail(address, now)
        self._drain_layers(now)

    def answer_failure(self, listener: Listener, data: bytes, address: Address) -> None:
        """Answer a request that the core failed on with 500, without any state; other messages get no answer."""
        with contextlib.suppress(PeerError):
            message = parse_message(data)
            if isinstance(message, Request) and message.method != "ACK":
                self._responder.answer(listener, message, self._responder.make_response(message, 500), address)

    def settle(self) -> None:
        """Write the records that waited for a node: the process ends."""
        self._ends.settle()

    def set_draining(self, draining: bool) -> None:
        """Refuse new calls from now on, or take them again."""
        self._shared.draining = draining

    @property
    def load(self) -> Load:
        """What the proxy holds."""
        shared = self._shared
        transactions = sum(len(layer) for layer in shared.layers.values())
        return Load(len(shared.calls), len(shared.contexts), transactions, len(self._guard), len(self._broker))

    @property
    def drops(self) -> Drops:
        """What was dropped without an answer."""
        return self._shared.drops

    # Inputs.

    def _receive(self, listener: Listener, message: Request | Response, address: Address, now: float) -> None:
        if listener.side is Side.EXTERNAL and not edits.opens_call(message):
            edits.strip_foreign(message)
        if isinstance(message, Request) and "route" in message.keys:
            edits.loosen_route(message, self._shared.own_hosts)
        try:
            # A body that cannot be taken apart is refused before anything is kept of its message.
            has_description(message)
            if not self._shared.layers[listener].absorb(message, address, now) and isinstance(message, Request):
                self._lookup.receive(listener, message, address, now)
        except PeerError as error:
            if isinstance(message, Request) and message.method != "ACK":
                raise BadRequestError(error, message) from None
            raise

    def _drain_layers(self, now: float) -> None:
        for listener, layer in self._shared.layers.items():
            while (event := layer.next_event()) is not None:
                try:
                    self._on_transaction_event(listener, event, now)
                except PeerError:
                    # A part of the message that is read only now was malformed.
                    self._shared.drops.malformed += 1

    def _on_transaction_event(self, listener: Listener, event: TransactionEvent, now: float) -> None:
        if isinstance(event, ResponseReceived):
            self._responses.receive(listener, event, now)
        elif isinstance(event, TransactionEnded):
            self._forget(listener, event.key)
        elif isinstance(event, MessageHandled):
            self._on_handled(listener, event, now)
        elif isinstance(event, StraySuccess):
            self._recovery.receive(listener, event.response, now)
        elif isinstance(event, RequestTimedOut):
            self._responses.time_out(listener, event, now)
        elif isinstance(event, Cancelled):
            self._on_cancelled(listener, event.key, now)
        elif isinstance(event, AckReceived):
            # Some callers give the ACK of a 2xx the branch of its INVITE.
            self._lookup.receive_ack(listener, event.request, event.source, now)

    def _on_handled(self, listener: Listener, event: MessageHandled, now: float) -> None:
        of = listener, event.key
        context = self._shared.contexts.get(of) or self._shared.by_client.get(of)
        if context is not None:
            to = event.address if event.sent else None
            self._trace.trace(context.call_id, listener, event.data, now, came_from=event.address, sent_to=to)

    def _on_cancelled(self, listener: Listener, key: Key, now: float) -> None:
        context = self._shared.contexts.get((listener, key))
        if context is not None:
            self._responses.cancel(context, now)
        else:
            self._guard.cancel(listener, key)

    def _forget(self, listener: Listener, key: Key) -> None:
        shared, ended = self._shared, (listener, key)
        shared.by_client.pop(ended, None)
        if shared.contexts.pop(ended, None) is not None:
            shared.timers.cancel((ContextTimer.FAILOVER, ended))
            shared.timers.cancel((ContextTimer.TIMER_C, ended))

    def _on_timer(self, timer: ContextTimer, context_id: ContextId, now: float) -> None:
        context = self._shared.contexts.get(context_id)
        if context is not None:
            self._responses.on_timer(timer, context, now)
