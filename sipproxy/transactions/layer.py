"""The transaction layer of RFC 3261 section 17 over UDP, for proxies and user agents alike.

Theory of operation. A transaction is one request and all its responses. The layer recognises retransmissions, repeats
what may have been lost, acknowledges failures, matches CANCEL and forgets each transaction when RFC 3261's timers say so.
What is left is for the layer's user: requests that are new, responses that matter, time-outs. The state machines are the
tables in `tables.py`; this module turns messages and timers into their inputs and carries out their actions.

The layer has no socket and no clock. Feed it, then drain it:

    layer = TransactionLayer(new_token=lambda: secrets.token_hex(8))
    layer.receive_datagram(data, source, now)            # or receive_message(message, source, now)
    while (event := layer.next_event()) is not None: …   # transaction_events.py
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
ends the INVITE 64*T1 later when no answer comes. `TransactionEnded(key)` is the last word on any transaction.

A proxy that must look at a request before any state exists uses the halves of `receive_message`: `absorb` (did it belong
to a transaction?), then `begin` or `send_stateless`; `finish` answers and forgets at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from daemonkit.address import Address
from sipproxy.sip import BadRequestError, PeerError, Request, Response, is_keepalive, parse_message
from sipproxy.sip.via import MAGIC_COOKIE
from sipproxy.transactions.events import (
    AckMissing,
    AckReceived,
    Cancelled,
    Key,
    MessageHandled,
    NewRequest,
    RequestTimedOut,
    ResponseReceived,
    StraySuccess,
    TransactionEnded,
    TransactionEvent,
)
from sipproxy.transactions.limits import MAX_EVENTS, MAX_TRANSACTIONS
from sipproxy.transactions.messages import (
    CLIENT,
    client_key,
    make_ack,
    make_cancel,
    reply_address,
    response_key,
    server_key,
    stamp_source,
)
from sipproxy.transactions.tables import FIRST, MACHINE, T1, TIMEOUT, Action, Input, Kind, State
from sipproxy.transactions.timers import Timers
from sipproxy.transactions.transaction import Counters, Transaction

_TIMER_INPUTS = (Input.RETRANSMIT_TIMER, Input.TIMEOUT_TIMER, Input.LINGER_TIMER)


class TransactionLayer:
    """Hold all transactions of one socket; see the module's text for its use."""

    def __init__(
        self, *, new_token: Callable[[], str], reliable: bool = False, watched: bool = False, max_transactions: int = MAX_TRANSACTIONS
    ) -> None:
        self._reliable = reliable
        self._watched = watched
        self.counters = Counters()
        self._new_token = new_token
        self._max = max_transactions
        self._transactions: dict[Key, Transaction] = {}
        self._timers: Timers[tuple[Key, Input]] = Timers()
        self._events: deque[TransactionEvent] = deque()
        self._outbox: list[tuple[bytes, Address]] = []

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
            self._tell(AckReceived(message, source))
        elif message.method == "CANCEL":
            self.refuse(message, 481, source)
        else:
            key = self.begin(message, source, now)
            if key is not None:
                self._tell(NewRequest(key, message, source))

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Take what is to be sent."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def get_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        """Let every timer that is due do its work."""
        while (due := self._timers.pop_due(now)) is not None:
            key, given = due
            transaction = self._transactions.get(key)
            if transaction is not None:
                self._step(transaction, given, None, now)

    def next_event(self) -> TransactionEvent | None:
        """Take the oldest event, None when there is none."""
        return self._events.popleft() if self._events else None

    # Commands of a server.

    def absorb(self, message: Request | Response, source: Address, now: float) -> bool:
        """Give a message to the transaction it belongs to; tell whether there was one.

        Responses that belong to nothing are dropped; the user hears of a 2xx to an INVITE.
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
        self._take(transaction, Input.ACK if message.method == "ACK" else Input.REQUEST, message, now)
        return True

    def begin(self, request: Request, source: Address, now: float) -> Key | None:
        """Start a server transaction; None when the table is full and the request was answered with 503."""
        stamp_source(request, source)
        if len(self._transactions) >= self._max:
            self.counters.refused += 1
            self.refuse(request, 503, source)
            return None
        return self._begin(request, source).key

    def respond(self, key: Key, response: Response, now: float) -> None:
        """Send a response through its transaction; one that is gone, or already final, swallows it."""
        transaction = self._transactions.get(key)
        if transaction is not None:
            self._step(transaction, _response_input(response), response, now)

    def finish(self, key: Key, response: Response) -> None:
        """Answer and forget at once, for requests that must leave no state behind; a retransmission is new again."""
        transaction = self._transactions.get(key)
        if transaction is not None:
            self._outbox.append((bytes(response), transaction.address))
            self._end(transaction)

    def forget(self, key: Key) -> None:
        """Drop a transaction without a word, for requests that nobody waits for any more."""
        transaction = self._transactions.get(key)
        if transaction is not None:
            self._end(transaction)

    def refuse(self, request: Request, status: int, source: Address) -> None:
        """Answer a request without any state."""
        self.answer(request, request.make_response(status, to_tag=self._new_token()), source)

    def answer(self, request: Request, response: Response, source: Address) -> None:
        """Send a response of the user's making without any state."""
        stamp_source(request, source)
        response.replace_values("Via", request.headers("via"))
        self.send_stateless(bytes(response), self._reply_address(request, source))

    def fail(self, target: Address, now: float) -> None:
        """Give up every request that went to an address: its connection is gone (RFC 3261 8.1.3.1)."""
        lost = [held for held in self._transactions.values() if held.address == target and held.key[0] == CLIENT]
        for transaction in lost:
            self._step(transaction, Input.TIMEOUT_TIMER, None, now)

    # Commands of a client.

    def new_branch(self) -> str:
        """Return a fresh branch parameter."""
        return MAGIC_COOKIE + self._new_token()

    def send_request(self, request: Request, target: Address, now: float) -> Key:
        """Send a request whose top Via carries a fresh branch, and see it through."""
        return self._send(request, target, now, own=False).key

    def cancel(self, key: Key, now: float) -> None:
        """Cancel an INVITE once a provisional response allows it (RFC 3261 9.1); harmless at any time."""
        transaction = self._transactions.get(key)
        if transaction is None or transaction.kind is not Kind.INVITE_CLIENT or transaction.wants_cancel:
            return
        transaction.wants_cancel = True
        if transaction.state is State.PROCEEDING:
            self._send_cancel(transaction, now)

    def send_stateless(self, data: bytes, address: Address) -> None:
        """Send a message without a transaction: the ACK of a 2xx, a stateless response."""
        self._outbox.append((data, address))

    # Inputs.

    def _absorb_response(self, response: Response, now: float) -> None:
        transaction = self._transactions.get(response_key(response))
        if transaction is None:
            self.counters.stray += 1
            if response.status // 100 == 2 and response.cseq.method == "INVITE":
                self._tell(StraySuccess(response))
            return
        self._take(transaction, _response_input(response), response, now)
        if transaction.wants_cancel and response.status < 200 and transaction.state is State.PROCEEDING:
            self._send_cancel(transaction, now)

    def _absorb_cancel(self, cancel: Request, key: Key, source: Address, now: float) -> bool:
        """Answer a CANCEL that matches an INVITE; the CANCEL of a stranger at another address matches nothing."""
        invite = self._transactions.get((key[0], key[1], "INVITE"))
        if invite is None or invite.source[0] != source[0] or len(self._transactions) >= self._max:
            return False
        stamp_source(cancel, source)
        own = self._begin(cancel, source, own=True)
        self._show(own, cancel, sent=False)
        self._step(own, Input.SUCCESS, cancel.make_response(200, to_tag=self._new_token()), now)
        self._show(own, own.last, sent=True)
        if invite.state is State.PROCEEDING:
            self._tell(Cancelled(invite.key))
        return True

    def _answer_broken(self, request: Request, error: PeerError, source: Address) -> None:
        try:
            self.answer(request, request.make_response(error.status, error.reason), source)
        except PeerError:
            # Its Via is broken too: there is nobody to answer.
            return

    # The machine.

    def _begin(self, request: Request, source: Address, *, own: bool = False) -> Transaction:
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.NON_INVITE_SERVER
        key = server_key(request)
        transaction = Transaction(key, kind, FIRST[kind], request, self._reply_address(request, source), source, own)
        self._transactions[key] = transaction
        return transaction

    def _send(self, request: Request, target: Address, now: float, *, own: bool) -> Transaction:
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.NON_INVITE_CLIENT
        key = client_key(request)
        transaction = Transaction(key, kind, FIRST[kind], request, target, target, own, bytes(request))
        if len(self._transactions) >= self._max:
            self.counters.refused += 1
            self._report(transaction, RequestTimedOut(key, request))
            self._report(transaction, TransactionEnded(key))
            return transaction
        self._transactions[key] = transaction
        self._outbox.append((transaction.last, target))
        if not self._reliable:
            self._timers.set((key, Input.RETRANSMIT_TIMER), now + T1)
        self._timers.set((key, Input.TIMEOUT_TIMER), now + TIMEOUT)
        return transaction

    def _reply_address(self, request: Request, source: Address) -> Address:
        return source if self._reliable else reply_address(request)

    def _take(self, transaction: Transaction, given: Input, message: Request | Response, now: float) -> None:
        """Move one transaction by a message of its peer; one that the user does not get is shown."""
        if self._watched:
            _, actions = MACHINE[transaction.kind][transaction.state].get(given, (None, ()))
            if transaction.own or Action.PASS_TO_TU not in actions:
                self._show(transaction, message, sent=False)
        self._step(transaction, given, message, now)

    def _step(self, transaction: Transaction, given: Input, message: Request | Response | None, now: float) -> None:
        """Move one transaction by one input."""
        step = MACHINE[transaction.kind][transaction.state].get(given)
        if step is None:
            return
        before = transaction.state
        transaction.state, actions = step
        for action in actions:
            self._act(transaction, action, message, now)
        if transaction.state is State.TERMINATED:
            self._end(transaction)
        elif transaction.state is not before:
            heard = MACHINE[transaction.kind][transaction.state]
            for timer in _TIMER_INPUTS:
                if timer not in heard:
                    self._timers.cancel((transaction.key, timer))

    def _act(self, transaction: Transaction, action: Action, message: Request | Response | None, now: float) -> None:
        if action is Action.SEND and message is not None:
            transaction.last = bytes(message)
            self._outbox.append((transaction.last, transaction.address))
        elif action is Action.PASS_TO_TU:
            self._pass_up(transaction, message)
        elif action is Action.RESEND or action is Action.REPEAT:
            self._repeat(transaction)
        elif action is Action.ACK and isinstance(message, Response):
            transaction.failure = transaction.failure or message
            ack = make_ack(transaction.request, transaction.failure)
            self._outbox.append((ack, transaction.address))
            self._show(transaction, ack, sent=True)
        elif action is Action.REPORT_TIMEOUT:
            self._report_timeout(transaction)
        self._arm(transaction, action, now)

    def _arm(self, transaction: Transaction, action: Action, now: float) -> None:
        key = transaction.key
        if action is Action.ARM_LINGER:
            self._timers.set((key, Input.LINGER_TIMER), now + transaction.linger(reliable=self._reliable))
        elif action is Action.ARM_TIMEOUT:
            self._timers.set((key, Input.TIMEOUT_TIMER), now + TIMEOUT)
        elif action is Action.STOP_TIMEOUT:
            self._timers.cancel((key, Input.TIMEOUT_TIMER))
        elif action is Action.ARM_RETRANSMIT and not self._reliable:
            self._timers.set((key, Input.RETRANSMIT_TIMER), now + T1)
        elif action is Action.REPEAT:
            self._timers.set((key, Input.RETRANSMIT_TIMER), now + transaction.next_interval())

    def _repeat(self, transaction: Transaction) -> None:
        if transaction.last:
            self.counters.repeats += 1
            self._outbox.append((transaction.last, transaction.address))
            self._show(transaction, transaction.last, sent=True)

    def _send_cancel(self, invite: Transaction, now: float) -> None:
        cancel = make_cancel(invite.request)
        if client_key(cancel) in self._transactions:
            return
        self._show(self._send(cancel, invite.address, now, own=True), cancel, sent=True)
        self._timers.set((invite.key, Input.TIMEOUT_TIMER), now + TIMEOUT)

    def _pass_up(self, transaction: Transaction, message: Request | Response | None) -> None:
        if isinstance(message, Response):
            self._report(transaction, ResponseReceived(transaction.key, message, transaction.request))
        elif message is not None:
            self._report(transaction, AckReceived(message, transaction.source))

    def _report_timeout(self, transaction: Transaction) -> None:
        if transaction.kind is Kind.INVITE_SERVER:
            self._report(transaction, AckMissing(transaction.key))
        else:
            self._report(transaction, RequestTimedOut(transaction.key, transaction.request))

    def _end(self, transaction: Transaction) -> None:
        del self._transactions[transaction.key]
        for timer in _TIMER_INPUTS:
            self._timers.cancel((transaction.key, timer))
        self._report(transaction, TransactionEnded(transaction.key))

    def _show(self, transaction: Transaction, message: Request | Response | bytes, *, sent: bool) -> None:
        if self._watched:
            place, branch, method = transaction.key
            key = (place, branch, "INVITE" if transaction.own else method)
            self._tell(MessageHandled(key, bytes(message), transaction.address if sent else transaction.source, sent))

    def _report(self, transaction: Transaction, event: TransactionEvent) -> None:
        if not transaction.own:
            self._tell(event)

    def _tell(self, event: TransactionEvent) -> None:
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)


def _response_input(response: Response) -> Input:
    if response.status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if response.status < 300 else Input.FINAL_300_699
