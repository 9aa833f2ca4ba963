"""A SIP user agent without sockets: it takes the proxy's calls, and places calls for our phone.

Theory of operation. The transaction layer repeats lost messages; this module finds the call of each message and hands the
message over. A call (`call.py`) is a dialog and the exchanges open in it; how it begins depends on its direction
(`incoming.py`, `outgoing.py`). The shell knows calls by numbers and gets events (`events.py`):

    CallArrived → answer(call, address) → CallEstablished … MediaChanged … PeerHungUp or hang_up(call) → CallClosed

A call whose `CallArrived` wants a ring gets `ring(call, address)` first. `probe(call)` asks whether the peer is still there,
`refer(call, number, target)` asks it to call somebody else.

The agent serves the proxies of its fleet only: an INVITE that none of them has sealed is answered with 403, and nothing else comes
of it. While `accepting` is false, and beyond `max_calls`, an INVITE is refused with 503 and makes no call.

Errors of peers never leave this module: a request with a malformed part gets an error response, any other such message is
dropped.
"""

from __future__ import annotations

from collections.abc import Callable

from callflow.sip.call import SipCall
from callflow.sip.call_context import CAPABILITIES, CallContext, CallTimer, UserAgentConfig
from callflow.sip.call_header import InviteGate
from callflow.sip.dialogs import DialogKey
from callflow.sip.events import AgentEvent, StrangerRefused
from callflow.sip.incoming import RELIABLE, IncomingCall
from callflow.sip.outgoing import Destination, OutgoingCall
from callflow.sip.session_timer import MIN_SECONDS, too_small
from callflow.sip.states import CallState
from daemonkit.address import Address
from sipproxy.headers.call_headers import SealFault
from sipproxy.sip import PeerError, Request
from sipproxy.sip.methods import Use, methods_for
from sipproxy.transactions.events import (
    AckReceived,
    Cancelled,
    Key,
    NewRequest,
    RequestTimedOut,
    ResponseReceived,
    TransactionEnded,
    TransactionEvent,
)
from sipproxy.transactions.layer import TransactionLayer

RETRY_AFTER_SECONDS = 5
QUIET_SECONDS = 1.0
"""Between two events that tell of strangers."""
_IN_DIALOGS = methods_for(Use.DIALOG)
_OFFERS = methods_for(Use.OFFER)
_SUPPORTED = {"timer", RELIABLE}


class UserAgent:
    """All calls of one socket; see the module's theory of operation."""

    def __init__(
        self, config: UserAgentConfig, *, new_token: Callable[[], str], new_key: Callable[[int], bytes], wall: Callable[[], float]
    ) -> None:
        self.accepting = True
        self.gate = InviteGate(config.invite_keys, config.local)
        self.layer = TransactionLayer(new_token=new_token)
        self._calls: dict[int, SipCall] = {}
        self._index: dict[tuple[str, ...], int] = {}
        self._config = config
        self._last_number = 0
        self._context = CallContext(config, self.layer, new_token, new_key)
        self._wall = wall
        self._quiet_until = 0.0

    def __len__(self) -> int:
        return len(self._calls)

    # Datagrams, timers and events.

    def receive_datagram(self, data: bytes, source: Address, now: float, came_at: float | None = None) -> None:
        """Take one datagram, and handle what it contains; `came_at` is when it came, if it had to wait."""
        self._context.came_at = now if came_at is None else came_at
        self.layer.receive_datagram(data, source, now)
        self._settle(now)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return the datagrams to be sent, each with its target, and forget them."""
        return self.layer.datagrams_to_send()

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due, None for never."""
        times = (self.layer.get_timer(), self._context.timers.next())
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Fire the timers that are due, of the layer and of the calls."""
        self.layer.handle_timer(now)
        self._settle(now)
        while (due := self._context.timers.pop_due(now)) is not None:
            number, timer = due
            self._fire(number, timer, now)
        self._settle(now)

    def next_event(self) -> AgentEvent | None:
        """Return the oldest event and forget it; None if there is none."""
        return self._context.events.popleft() if self._context.events else None

    # Commands.

    def ring(self, call: int, address: Address, now: float) -> None:
        """Send the 180 of a call that waits for it; we receive its audio at `address`."""
        found = self._calls.get(call)
        if isinstance(found, IncomingCall):
            found.ring(address, now)

    def progress(self, call: int, address: Address, now: float) -> None:
        """Let the caller of a call that is not answered hear us; `EarlyMediaOpened` tells that it does."""
        found = self._calls.get(call)
        if isinstance(found, IncomingCall):
            found.progress(address, now)

    def answer(self, call: int, address: Address, now: float, keepalive: float = 0.0) -> None:
        """Answer a call that arrived; we receive its audio at `address`.

        A caller behind NAT, or on a stream, is asked by OPTIONS every `keepalive` seconds, unless that is 0.
        """
        found = self._calls.get(call)
        if isinstance(found, IncomingCall):
            found.answer(address, keepalive, now)

    def probe(self, call: int, now: float) -> None:
        """Ask the peer of an answered call by OPTIONS whether it is still there; `PeerAnswered` or `PeerSilent` tells."""
        found = self._calls.get(call)
        if found:
            found.probe(now)

    def refer(self, call: int, number: int, target: str, now: float) -> None:
        """Ask the peer of an answered call by REFER to call a SIP URI; `ReferOver` tells by this number what came of it."""
        found = self._calls.get(call)
        if found:
            found.refer(number, target, now)

    def hang_up(self, call: int, now: float, status: int = 486) -> None:
        """End a call by a final response, CANCEL or BYE, as its state requires; an unknown or ended call is ignored."""
        found = self._calls.get(call)
        if found:
            found.hang_up(status, now)
            self._track(found)

    def place(self, destination: Destination, media: Address, now: float) -> int:
        """Place a call and return its number."""
        call = OutgoingCall(self._context, self._new_number(), destination, media)
        self._track(call)
        call.place(now)
        self._settle(now)
        return call.number

    # Inputs.

    def _settle(self, now: float) -> None:
        """Hand the layer's events to their calls."""
        while (event := self.layer.next_event()) is not None:
            try:
                self._handle(event, now)
            except PeerError as error:
                if isinstance(event, NewRequest):
                    self._context.refuse(event.key, event.request, error.status, now)

    def _handle(self, event: TransactionEvent, now: float) -> None:
        match event:
            case NewRequest():
                self._handle_request(event, now)
            case AckReceived(request):
                call = self._find(request)
                if call:
                    call.ack_received(request, now)
            case Cancelled(key):
                self._handle_cancel(key, now)
            case ResponseReceived(key) | RequestTimedOut(key) | TransactionEnded(key):
                call = self._owner(key)
                if call:
                    self._handle_own(call, event, now)
                if isinstance(event, TransactionEnded):
                    self._context.owners.pop(key, None)

    def _handle_own(self, call: SipCall, event: ResponseReceived | RequestTimedOut | TransactionEnded, now: float) -> None:
        """Hand on the outcome of a request that a call sent."""
        match event:
            case ResponseReceived(key, response, request):
                call.response_received(key, response, request, now)
            case RequestTimedOut(key, request):
                call.request_timed_out(key, request, now)
            case TransactionEnded(key):
                call.transaction_ended(key)
        self._track(call)

    def _handle_cancel(self, key: Key, now: float) -> None:
        call = self._owner(key)
        if isinstance(call, IncomingCall):
            call.cancelled(now)
            self._track(call)

    def _handle_request(self, event: NewRequest, now: float) -> None:
        request = event.request
        if request.to.tag:
            call = self._find(request)
            if call is None:
                raise PeerError(481, "There is no such call.")
            unsupported = _find_unsupported(request)
            if unsupported:
                self._context.answer_request(event.key, request, 420, now, [unsupported])
                return
            call.request_received(event.key, request, now)
            self._track(call)
        elif request.method == "INVITE":
            self._handle_invite(event, now)
        elif request.method == "OPTIONS":
            self._context.answer_request(event.key, request, 200, now, CAPABILITIES)
        else:
            raise PeerError(481 if request.method in _IN_DIALOGS else 405, "The request needs a call.")

    def _handle_invite(self, event: NewRequest, now: float) -> None:
        facts = self.gate.admit(event.request, self._wall())
        if isinstance(facts, SealFault):
            self._turn_away(event, facts, now)
        elif refusal := self._refusal(event.request):
            status, headers = refusal
            self._context.answer_request(event.key, event.request, status, now, headers)
        else:
            call = IncomingCall(self._context, self._new_number(), event.key, event.request, event.source)
            self._context.owners[event.key] = call.number
            self._track(call)
            call.arrive(facts, now)

    def _turn_away(self, event: NewRequest, fault: SealFault, now: float) -> None:
        """Refuse an INVITE that no proxy of ours has sealed."""
        self._context.answer_request(event.key, event.request, 403, now)
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            self._context.tell(StrangerRefused(event.source, fault, sum(self.gate.refused.values())))

    def _refusal(self, invite: Request) -> tuple[int, list[tuple[str, str]]] | None:
        """Return status and headers that refuse an INVITE, None if it may become a call."""
        unsupported = _find_unsupported(invite)
        if unsupported:
            return 420, [unsupported]
        if not self.accepting or len(self._calls) >= self._config.max_calls:
            return 503, [("Retry-After", str(RETRY_AFTER_SECONDS))]
        if self._config.session_expires and too_small(invite):
            return 422, [("Min-SE", str(MIN_SECONDS))]
        if (invite.call_id, invite.from_.tag) in self._index:
            # A merged request: the same INVITE has arrived by another path (RFC 3261 section 8.2.2.2).
            return 482, []
        return None

    # Small parts.

    def _find(self, request: Request) -> SipCall | None:
        wanted: DialogKey = (request.call_id, request.to.tag, request.from_.tag)
        return self._calls.get(self._index.get(wanted, 0))

    def _fire(self, number: int, timer: CallTimer, now: float) -> None:
        call = self._calls.get(number)
        if call:
            call.timer_fired(timer, now)
            self._track(call)

    def _new_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _owner(self, key: Key) -> SipCall | None:
        return self._calls.get(self._context.owners.get(key, 0))

    def _track(self, call: SipCall) -> None:
        """Update the index of calls after an input; a call that is over leaves it."""
        if call.state is CallState.OVER:
            self._calls.pop(call.number, None)
            for name in call.names:
                self._index.pop(name, None)
        else:
            self._calls[call.number] = call
            self._index.update(dict.fromkeys(call.names, call.number))


def _find_unsupported(request: Request) -> tuple[str, str] | None:
    """Return the header that names what a request requires and we do not support, None if there is nothing."""
    required = request.values("require") if request.method in _OFFERS else []
    unknown = [value for value in required if value.lower() not in _SUPPORTED]
    return ("Unsupported", ", ".join(unknown)) if unknown else None
