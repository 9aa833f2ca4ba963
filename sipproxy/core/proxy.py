"""The SIP proxy as one object without input or output.

Theory of operation. The proxy has two sides. Outside are callers, whom nobody knows; inside are call-flow nodes. Each side has
a socket and a transaction layer of its own, and what a datagram may do depends on the socket it came to.

An INVITE from outside without a To tag starts at the guard. The guard asks the shell for the applications that the request
names (`DirectoryWanted`), decides, and either refuses, leaving no trace, or admits the call. An admitted INVITE becomes an
exchange: a server transaction outside, client transactions inside, and the facts that connect them. Its offer passes a media
relay (`RelayWanted`), then it goes to a node; a node that stays silent for a second is passed over. Responses come
back through the exchange, their answers through the relay.

No dialog is remembered. All that a later request needs (node, relay, call id, the caller's true address) travels in the
token of our Record-Route entry (token.py), so any proxy of the fleet can serve any dialog, and a request with a To tag but
without a good token goes nowhere. The call book counts calls and ends their records; it routes nothing.

One face, as every core of ours:

    proxy = ProxyCore(config, sources)
    proxy.receive_datagram(side, data, address, now)
    proxy.handle_timer(now)                                  # when get_timer() is due
    for datagram in proxy.datagrams_to_send(): …             # side, data, address
    while (event := proxy.next_event()) is not None: …       # events.py
    proxy.directory_answered(key, snapshots_or_None, now)
    proxy.relay_answered(key, reply_or_None, now)
    proxy.replace_nodes(up, known)                           # without static targets
    proxy.forget_calls(call_ids)                             # of settled_calls(now), those that are over: likewise
    proxy.drain()

Nothing that a peer sends raises out of here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sipproxy.core import edits
from sipproxy.core.config import Address, SipProxyConfig
from sipproxy.core.events import Datagram, ProxyEvent, Side
from sipproxy.core.forward import Forward
from sipproxy.core.guard import Guard
from sipproxy.core.limits import MAX_CALLS, SETTLED_SECONDS
from sipproxy.core.lookup import Lookup
from sipproxy.core.media import Media
from sipproxy.core.reply import Reply
from sipproxy.core.state import Drops, Sources, State
from sipproxy.core.transaction_events import (
    AckReceived,
    Cancelled,
    Key,
    RequestTimedOut,
    ResponseReceived,
    TransactionEnded,
    TransactionEvent,
)
from sipproxy.sip import PeerError, Request, Response, is_keepalive, parse_message
from voiceapps.rules.admission import AdmissionSnapshot
from voiceapps.rules.endings import EndReason


@dataclass(frozen=True, slots=True)
class Load:
    """Count what the proxy holds; all zero some 70 s after the last call."""

    calls: int
    exchanges: int
    transactions: int
    lookups: int
    relay_waits: int


class ProxyCore:
    """Decide about every datagram; see the module's text."""

    def __init__(self, config: SipProxyConfig, sources: Sources, *, max_calls: int = MAX_CALLS) -> None:
        self._state = State(config, sources, max_calls)
        self._media = Media(self._state)
        self._forward = Forward(self._state, self._media)
        self._reply = Reply(self._state, self._media, self._forward)
        self._guard = Guard(self._state, on_admitted=self._forward.start_call)
        self._lookup = Lookup(self._state, self._guard, self._forward)

    # The one face.

    def receive_datagram(self, side: Side, data: bytes, address: Address, now: float) -> None:
        """Take one datagram that came to a side's socket."""
        if is_keepalive(data):
            return
        if side is Side.INTERNAL and not self._state.targets.knows(address):
            self._state.drops.strangers_inside += 1
            return
        try:
            message = parse_message(data)
            self._receive(side, message, address, now)
        except PeerError as error:
            self._state.drops.malformed += 1
            if error.request is not None:
                self._answer_broken(side, error.request, error, address, now)
        self._drain_layers(now)

    def datagrams_to_send(self) -> list[Datagram]:
        """Take what is to be sent."""
        return [Datagram(side, data, address) for side, layer in self._state.layers.items() for data, address in layer.datagrams_to_send()]

    def get_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        state = self._state
        layers = (layer.get_timer() for layer in state.layers.values())
        timers = (*layers, state.timers.next(), self._guard.get_timer(), state.calls.get_timer())
        return min((when for when in timers if when is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Let every timer that is due do its work."""
        for layer in self._state.layers.values():
            layer.handle_timer(now)
        self._drain_layers(now)
        self._guard.handle_timer(now)
        while (due := self._state.timers.pop_due(now)) is not None:
            self._ring(due[0], due[1], now)
        while (call_id := self._state.calls.pop_silent(now)) is not None:
            self._state.end_call(call_id, EndReason.CALLER_UNREACHABLE, now)
        self._drain_layers(now)

    def next_event(self) -> ProxyEvent | None:
        """Take the oldest event, None when there is none."""
        return self._state.events.popleft() if self._state.events else None

    # Commands.

    def directory_answered(self, key: str, snapshots: Mapping[str, AdmissionSnapshot] | None, now: float) -> None:
        """Answer `DirectoryWanted`: applications by user part, None where the database did not answer."""
        self._guard.receive_answer(key, snapshots, now)
        self._drain_layers(now)

    def relay_answered(self, key: str, reply: Mapping[bytes, object] | None, now: float) -> None:
        """Answer `RelayWanted`: the relay's dictionary, None where it was silent."""
        self._media.receive(key, reply, now)
        self._drain_layers(now)

    def replace_nodes(self, up: tuple[Address, ...], known: tuple[Address, ...]) -> None:
        """Take the call-flow nodes: those that take calls, least loaded first, and all that dialogs may still live on."""
        self._state.targets.replace(up, known)

    def settled_calls(self, now: float) -> tuple[str, ...]:
        """Return the ids of the calls that are up for so long that the database would know of their end."""
        return self._state.calls.older_than(now - SETTLED_SECONDS)

    def forget_calls(self, call_ids: Iterable[str]) -> None:
        """Forget calls whose end is recorded already: their BYE never passed here, as the node that held them died."""
        for call_id in call_ids:
            self._state.calls.remove(call_id)

    def drain(self) -> None:
        """Refuse new calls from now on."""
        self._state.draining = True

    @property
    def load(self) -> Load:
        """Return what the proxy holds."""
        state = self._state
        transactions = sum(len(layer) for layer in state.layers.values())
        return Load(len(state.calls), len(state.exchanges), transactions, len(self._guard), len(self._media))

    @property
    def drops(self) -> Drops:
        """Return what was dropped without an answer."""
        return self._state.drops

    # Inputs.

    def _receive(self, side: Side, message: Request | Response, address: Address, now: float) -> None:
        if side is Side.EXTERNAL:
            edits.strip_foreign(message)
        try:
            if not self._state.layers[side].absorb(message, address, now) and isinstance(message, Request):
                self._lookup.receive(side, message, address, now)
        except PeerError as error:
            request = message if isinstance(message, Request) and message.method != "ACK" else None
            raise PeerError(error.status, error.reason, request) from None

    def _answer_broken(self, side: Side, request: Request, error: PeerError, address: Address, now: float) -> None:
        limits = self._state.limits
        if side is Side.EXTERNAL and not limits.admit(address[0], now):
            self._state.drops.silenced += 1
            return
        try:
            self._state.answer(side, request, request.make_response(error.status, error.reason), address)
        except PeerError:
            # Its Via is broken too: there is nobody to answer.
            return

    def _drain_layers(self, now: float) -> None:
        for side, layer in self._state.layers.items():
            while (event := layer.next_event()) is not None:
                self._on_transaction_event(side, event, now)

    def _on_transaction_event(self, side: Side, event: TransactionEvent, now: float) -> None:
        if isinstance(event, ResponseReceived):
            self._reply.receive(side, event, now)
        elif isinstance(event, TransactionEnded):
            self._forget(side, event.key)
        elif isinstance(event, RequestTimedOut):
            self._reply.time_out(side, event, now)
        elif isinstance(event, Cancelled):
            self._on_cancelled(side, event.key, now)
        elif isinstance(event, AckReceived):
            # Some callers give the ACK of a 2xx the branch of its INVITE.
            self._lookup.receive_ack(side, event.request, event.source, now)

    def _on_cancelled(self, side: Side, key: Key, now: float) -> None:
        exchange = self._state.exchanges.get((side, key))
        if exchange is not None:
            self._reply.cancel(exchange, now)
        else:
            self._guard.cancel(key)

    def _forget(self, side: Side, key: Key) -> None:
        self._reply.forget_client(side, key)
        exchange = self._state.exchanges.pop((side, key), None)
        if exchange is not None:
            for name in ("failover", "ring"):
                self._state.timers.cancel((name, exchange.id))

    def _ring(self, name: str, exchange_id: tuple[Side, Key], now: float) -> None:
        exchange = self._state.exchanges.get(exchange_id)
        if exchange is None:
            return
        if name == "failover":
            self._reply.pass_over(exchange, now)
        else:
            self._reply.stop_ringing(exchange, now)
