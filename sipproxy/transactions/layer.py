"""The transaction layer of RFC 3261 section 17 over UDP, for proxies and user agents alike.

Theory of operation. A transaction is one request and all its responses. The layer recognises retransmissions, repeats
what may have been lost, acknowledges failures, matches CANCEL and forgets each transaction when RFC 3261's timers say so.
What is left is for the layer's user: requests that are new, responses that matter, time-outs. The state machines are the
tables in `tables.py`; this module turns messages and timers into inputs, `machine.py` carries out the actions.

The layer has no socket and no clock. Feed it, then drain it:

    layer = TransactionLayer(new_token=lambda: secrets.token_hex(8))
    layer.receive_datagram(data, source, now)            # or receive_message(message, source, now)
    while (event := layer.next_event()) is not None: …   # events.py
    for data, address in layer.datagrams_to_send(): …
    timer = layer.get_timer()                            # call handle_timer(now) when it is due

As a server: `NewRequest(key, request, source)` → `layer.respond(key, request.make_response(200, to_tag=…), now)`. Responses
go where the top Via says, with `received` and `rport`. A CANCEL is answered by the layer; `Cancelled(key)` asks for
`respond(key, 487)`. A 2xx to an INVITE is not repeated by the layer: its user calls `respond` with the same 2xx again until
`AckReceived` comes (RFC 3261 13.3.1.4). An ACK for a 2xx, or for nothing we know, is `AckReceived` without a key: match it
by its dialog.

With `reliable` (TCP, TLS) nothing is repeated, nothing lingers for copies that cannot come, and answers go back along the
connection, whose far end is the request's source (RFC 3261 17.1.1.2, 18.2.2).

As a client: put a Via with a fresh branch (`new_branch()`) on top and call `key = layer.send_request(request, target, now)`.
Then come `ResponseReceived(key, response, request)`, any number of them for an INVITE (each 2xx is passed up, the ACK for it
is the user's: `send_stateless`), or `RequestTimedOut`. `layer.cancel(key, now)` sends CANCEL as soon as that is allowed and
ends the INVITE 64*T1 later if no response comes. `TransactionEnded(key)` is the last event of any transaction.

A proxy that must look at a request before any state exists uses the halves of `receive_message`: `absorb` (did it belong
to a transaction?), then `begin` or `send_stateless`; `finish` answers and forgets at once.
"""

from __future__ import annotations

from collections.abc import Callable

from daemonkit.address import Address
from sipproxy.sip import BadRequestError, PeerError, Request, Response, is_keepalive, parse_message
from sipproxy.sip.via import MAGIC_COOKIE
from sipproxy.transactions.events import (
    AckReceived,
    Cancelled,
    Key,
    NewRequest,
    StraySuccess,
    TransactionEvent,
)
from sipproxy.transactions.limits import MAX_TRANSACTIONS
from sipproxy.transactions.machine import TransactionMachine
from sipproxy.transactions.messages import CLIENT, response_key, server_key, stamp_source
from sipproxy.transactions.tables import Input, Kind, State


class TransactionLayer:
    """The transactions of one listener; see the module's text for its use."""

    def __init__(
        self, *, new_token: Callable[[], str], reliable: bool = False, watched: bool = False, max_transactions: int = MAX_TRANSACTIONS
    ) -> None:
        self._new_token = new_token
        machine = self._machine = TransactionMachine(reliable=reliable, watched=watched, max_transactions=max_transactions)
        self.counters = machine.counters
        # The machine's own tables, without a detour: they are used for each message.
        self._transactions = machine.transactions
        self._timers = machine.timers
        self._events = machine.events
        self._outbox = machine.outbox

    def __len__(self) -> int:
        return len(self._transactions)

    # The one face.

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram; what is malformed is answered with its status where that is possible, and counted."""
        if is_keepalive(data):
            return
        try:
            self.receive_message(parse_message(data), source, now)
        except PeerError as error:
            self.counters.malformed += 1
            if isinstance(error, BadRequestError):
                self._answer_broken(error.request, error, source)

    def receive_message(self, message: Request | Response, source: Address, now: float) -> None:
        """Take one parsed message; a request may raise PeerError where a part that is read late is malformed."""
        if self.absorb(message, source, now) or isinstance(message, Response):
            return
        if message.method == "ACK":
            self._machine.tell(AckReceived(message, source))
        elif message.method == "CANCEL":
            self.refuse(message, 481, source)
        else:
            key = self.begin(message, source, now)
            if key is not None:
                self._machine.tell(NewRequest(key, message, source))

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Take what is to be sent."""
        taken = self._outbox.copy()
        self._outbox.clear()
        return taken

    def get_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        """Run every timer that is due."""
        while (due := self._timers.pop_due(now)) is not None:
            key, given = due
            transaction = self._transactions.get(key)
            if transaction is not None:
                self._machine.step(transaction, given, None, now)

    def next_event(self) -> TransactionEvent | None:
        """Take the oldest event, None when there is none."""
        return self._events.popleft() if self._events else None

    # Commands of a server.

    def absorb(self, message: Request | Response, source: Address, now: float) -> bool:
        """Give a message to the transaction that it belongs to. Returns whether there was one.

        Responses without a transaction are dropped; the user is told of a 2xx to an INVITE.
        """
        if isinstance(message, Response):
            self._absorb_response(message, now)
            return True
        key = server_key(message)
        transaction = self._transactions.get(key)
        if message.method == "CANCEL" and transaction is None:
            return self._absorb_cancel(message, key, source, now)
        if transaction is None:
            return False
        if message.method != "ACK":
            self.counters.retransmissions += 1
        self._machine.take(transaction, Input.ACK if message.method == "ACK" else Input.REQUEST, message, now)
        return True

    def begin(self, request: Request, source: Address, now: float) -> Key | None:
        """Start a server transaction; None when the table is full and the request was answered with 503."""
        stamp_source(request, source)
        if len(self._transactions) >= self._machine.max_transactions:
            self.counters.refused += 1
            self.refuse(request, 503, source)
            return None
        return self._machine.begin(request, source).key

    def respond(self, key: Key, response: Response, now: float) -> None:
        """Send a response through its transaction; a transaction that is gone, or has its final response, drops it."""
        transaction = self._transactions.get(key)
        if transaction is not None:
            self._machine.step(transaction, _response_input(response), response, now)

    def finish(self, key: Key, response: Response) -> None:
        """Answer a request and forget its transaction at once, so that no state is left; a retransmission is a new request."""
        transaction = self._transactions.get(key)
        if transaction is not None:
            self._outbox.append((bytes(response), transaction.address))
            self._machine.end(transaction)

    def forget(self, key: Key) -> None:
        """Forget a transaction without a response, if nobody waits for one any more."""
        transaction = self._transactions.get(key)
        if transaction is not None:
            self._machine.end(transaction)

    def refuse(self, request: Request, status: int, source: Address) -> None:
        """Answer a request without any state."""
        self.answer(request, request.make_response(status, to_tag=self._new_token()), source)

    def answer(self, request: Request, response: Response, source: Address) -> None:
        """Send a response of the user's making without any state."""
        stamp_source(request, source)
        response.replace_values("Via", request.headers("via"))
        self.send_stateless(bytes(response), self._machine.reply_address(request, source))

    def fail(self, target: Address, now: float) -> None:
        """Time out every request that went to an address: its connection is gone (RFC 3261 8.1.3.1)."""
        lost = [held for held in self._transactions.values() if held.address == target and held.key[0] == CLIENT]
        for transaction in lost:
            self._machine.step(transaction, Input.TIMEOUT_TIMER, None, now)

    # Commands of a client.

    def new_branch(self) -> str:
        """Return a fresh branch parameter."""
        return MAGIC_COOKIE + self._new_token()

    def send_request(self, request: Request, target: Address, now: float, *, age_header: str = "") -> Key:
        """Send a request whose top Via carries a fresh branch, in a client transaction. Returns its key.

        Repetitions say in `age_header` how many seconds ago it was sent first.
        """
        return self._machine.send(request, target, now, own=False, age_header=age_header).key

    def cancel(self, key: Key, now: float) -> None:
        """Cancel an INVITE once a provisional response allows it (RFC 3261 9.1); harmless at any time."""
        transaction = self._transactions.get(key)
        if transaction is None or transaction.kind is not Kind.INVITE_CLIENT or transaction.wants_cancel:
            return
        transaction.wants_cancel = True
        if transaction.state is State.PROCEEDING:
            self._machine.send_cancel(transaction, now)

    def send_stateless(self, data: bytes, address: Address) -> None:
        """Send a message without a transaction: the ACK of a 2xx, a stateless response."""
        self._outbox.append((data, address))

    # Inputs.

    def _absorb_response(self, response: Response, now: float) -> None:
        transaction = self._transactions.get(response_key(response))
        if transaction is None:
            self.counters.stray += 1
            if response.status // 100 == 2 and response.cseq.method == "INVITE":
                self._machine.tell(StraySuccess(response))
            return
        self._machine.take(transaction, _response_input(response), response, now)
        if transaction.wants_cancel and response.status < 200 and transaction.state is State.PROCEEDING:
            self._machine.send_cancel(transaction, now)

    def _absorb_cancel(self, cancel: Request, key: Key, source: Address, now: float) -> bool:
        """Answer a CANCEL that matches an INVITE; a CANCEL from another address than the INVITE's matches none."""
        invite = self._transactions.get((key[0], key[1], "INVITE"))
        if invite is None or invite.source[0] != source[0] or len(self._transactions) >= self._machine.max_transactions:
            return False
        stamp_source(cancel, source)
        own = self._machine.begin(cancel, source, own=True)
        self._machine.show(own, cancel, sent=False)
        self._machine.step(own, Input.SUCCESS, cancel.make_response(200, to_tag=self._new_token()), now)
        self._machine.show(own, own.last, sent=True)
        if invite.state is State.PROCEEDING:
            self._machine.tell(Cancelled(invite.key))
        return True

    def _answer_broken(self, request: Request, error: PeerError, source: Address) -> None:
        try:
            self.answer(request, request.make_response(error.status, error.reason), source)
        except PeerError:
            # Its Via is broken too: there is no address to answer to.
            return


def _response_input(response: Response) -> Input:
    if response.status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if response.status < 300 else Input.FINAL_300_699
