"""The transactions of one layer and their tables at work: the one place where a transaction changes its state.

The layer turns messages and timers into inputs; here each input finds its step in `MACHINE`, and the step's actions are carried out:
messages go to the outbox, timers are armed, events are queued for the layer's user.
"""

from __future__ import annotations

from collections import deque

from daemonkit.address import Address
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import (
    AckReceived,
    Key,
    MessageHandled,
    RequestTimedOut,
    ResponseReceived,
    TransactionEnded,
    TransactionEvent,
)
from sipproxy.transactions.limits import MAX_EVENTS
from sipproxy.transactions.messages import client_key, make_ack, make_cancel, reply_address, server_key
from sipproxy.transactions.tables import FIRST, MACHINE, T1, TIMEOUT, Action, Input, Kind, State
from sipproxy.transactions.timers import Timers
from sipproxy.transactions.transaction import Counters, Transaction

_TIMER_INPUTS = (Input.RETRANSMIT_TIMER, Input.TIMEOUT_TIMER, Input.LINGER_TIMER)


class TransactionMachine:
    """All transactions of one layer with their timers, the messages to send and the events for the user."""

    def __init__(self, *, reliable: bool, watched: bool, max_transactions: int) -> None:
        self.transactions: dict[Key, Transaction] = {}
        self.timers: Timers[tuple[Key, Input]] = Timers()
        self.events: deque[TransactionEvent] = deque()
        self.outbox: list[tuple[bytes, Address]] = []
        self.counters = Counters()
        self._reliable = reliable
        self._watched = watched
        self.max_transactions = max_transactions

    def begin(self, request: Request, source: Address, *, own: bool = False) -> Transaction:
        """Start a server transaction of a stamped request; `own` hides it from the layer's user."""
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.NON_INVITE_SERVER
        key = server_key(request)
        transaction = Transaction(key, kind, FIRST[kind], request, self.reply_address(request, source), source, own)
        self.transactions[key] = transaction
        return transaction

    def send(self, request: Request, target: Address, now: float, *, own: bool, age_header: str = "") -> Transaction:
        """Start a client transaction and send its request; where there is no room it times out at once."""
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.NON_INVITE_CLIENT
        key = client_key(request)
        transaction = Transaction(key, kind, FIRST[kind], request, target, target, own, bytes(request), age_header=age_header, begun_at=now)
        if len(self.transactions) >= self.max_transactions:
            self.counters.refused += 1
            self._report(transaction, RequestTimedOut(key, request))
            self._report(transaction, TransactionEnded(key))
            return transaction
        self.transactions[key] = transaction
        self.outbox.append((transaction.last, target))
        if not self._reliable:
            self.timers.set((key, Input.RETRANSMIT_TIMER), now + T1)
        self.timers.set((key, Input.TIMEOUT_TIMER), now + TIMEOUT)
        return transaction

    def reply_address(self, request: Request, source: Address) -> Address:
        """Return where responses to a stamped request go: along its connection, or where its top Via says (RFC 3261 18.2.2)."""
        return source if self._reliable else reply_address(request)

    def take(self, transaction: Transaction, given: Input, message: Request | Response, now: float) -> None:
        """Move a transaction by a message of its peer; a message that the user does not get is reported to a watching user."""
        if self._watched:
            _, actions = MACHINE[transaction.kind][transaction.state].get(given, (None, ()))
            if transaction.own or Action.PASS_TO_TU not in actions:
                self.show(transaction, message, sent=False)
        self.step(transaction, given, message, now)

    def step(self, transaction: Transaction, given: Input, message: Request | Response | None, now: float) -> None:
        """Move a transaction by one input."""
        step = MACHINE[transaction.kind][transaction.state].get(given)
        if step is None:
            return
        before = transaction.state
        transaction.state, actions = step
        for action in actions:
            self._act(transaction, action, message, now)
        if transaction.state is State.TERMINATED:
            self.end(transaction)
        elif transaction.state is not before:
            heard = MACHINE[transaction.kind][transaction.state]
            for timer in _TIMER_INPUTS:
                if timer not in heard:
                    self.timers.cancel((transaction.key, timer))

    def _act(self, transaction: Transaction, action: Action, message: Request | Response | None, now: float) -> None:
        if action is Action.SEND and message is not None:
            transaction.last = bytes(message)
            self.outbox.append((transaction.last, transaction.address))
        elif action is Action.PASS_TO_TU:
            self._pass_up(transaction, message)
        elif action is Action.REPEAT:
            transaction.tell_age(now)
            self._repeat(transaction)
        elif action is Action.RESEND:
            self._repeat(transaction)
        elif action is Action.ACK and isinstance(message, Response):
            transaction.failure = transaction.failure or message
            ack = make_ack(transaction.request, transaction.failure)
            self.outbox.append((ack, transaction.address))
            self.show(transaction, ack, sent=True)
        elif action is Action.REPORT_TIMEOUT:
            self._report(transaction, RequestTimedOut(transaction.key, transaction.request))
        self._arm(transaction, action, now)

    def _arm(self, transaction: Transaction, action: Action, now: float) -> None:
        key = transaction.key
        if action is Action.ARM_LINGER:
            self.timers.set((key, Input.LINGER_TIMER), now + transaction.linger(reliable=self._reliable))
        elif action is Action.ARM_TIMEOUT:
            self.timers.set((key, Input.TIMEOUT_TIMER), now + TIMEOUT)
        elif action is Action.STOP_TIMEOUT:
            self.timers.cancel((key, Input.TIMEOUT_TIMER))
        elif action is Action.ARM_RETRANSMIT and not self._reliable:
            self.timers.set((key, Input.RETRANSMIT_TIMER), now + T1)
        elif action is Action.REPEAT:
            self.timers.set((key, Input.RETRANSMIT_TIMER), now + transaction.next_interval())

    def _repeat(self, transaction: Transaction) -> None:
        if transaction.last:
            self.counters.repeats += 1
            self.outbox.append((transaction.last, transaction.address))
            self.show(transaction, transaction.last, sent=True)

    def send_cancel(self, invite: Transaction, now: float) -> None:
        """Cancel an INVITE that has a provisional response, once; it ends 64*T1 later where no final response comes (RFC 3261 9.1)."""
        cancel = make_cancel(invite.request)
        if client_key(cancel) in self.transactions:
            return
        self.show(self.send(cancel, invite.address, now, own=True), cancel, sent=True)
        self.timers.set((invite.key, Input.TIMEOUT_TIMER), now + TIMEOUT)

    def _pass_up(self, transaction: Transaction, message: Request | Response | None) -> None:
        if isinstance(message, Response):
            self._report(transaction, ResponseReceived(transaction.key, message, transaction.request))
        elif message is not None:
            self._report(transaction, AckReceived(message, transaction.source))

    def end(self, transaction: Transaction) -> None:
        """Forget a transaction and its timers."""
        del self.transactions[transaction.key]
        for timer in _TIMER_INPUTS:
            self.timers.cancel((transaction.key, timer))
        self._report(transaction, TransactionEnded(transaction.key))

    def show(self, transaction: Transaction, message: Request | Response | bytes, *, sent: bool) -> None:
        """Report a message that the layer handled by itself, if it is watched."""
        if self._watched:
            place, branch, method = transaction.key
            key = (place, branch, "INVITE" if transaction.own else method)
            self.tell(MessageHandled(key, bytes(message), transaction.address if sent else transaction.source, sent))

    def _report(self, transaction: Transaction, event: TransactionEvent) -> None:
        if not transaction.own:
            self.tell(event)

    def tell(self, event: TransactionEvent) -> None:
        """Queue an event for the user."""
        if len(self.events) < MAX_EVENTS:
            self.events.append(event)
