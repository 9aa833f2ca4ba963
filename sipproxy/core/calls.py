"""The calls between admission and their end: for the gauges, for limits and, with static targets, for the call record.

A request inside a dialog follows its token, at this proxy or at any other. Some clients bring neither our Record-Route nor our Contact
back and send everything to where they sent the INVITE; this proxy alone remembers the tokens of their dialogs.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, replace

from daemonkit.address import Address
from sipproxy.core.limits import CALL_SECONDS, MAX_CALLS, MAX_OVER
from sipproxy.headers.record_route import RouteToken
from sipproxy.seal import DialogSeal
from sipproxy.transactions.tables import TIMEOUT
from sipproxy.transactions.timers import Timers
from voiceapps.rules.admission import CallCount
from voiceapps.rules.reports import CallFacts

Dialog = tuple[str, str, str]
"""Call-ID, the caller's tag and the called side's tag."""


@dataclass(slots=True)
class Call:
    """One call; times are monotonic seconds."""

    facts: CallFacts
    """The facts that its records carry."""
    capped: bool
    """Whether it counts as unacknowledged for its source."""
    added_at: float
    """When it was admitted."""
    shows_digits: bool
    """Whether what is stored of it may show the caller's digits."""
    node: Address | None = None
    """The call-flow node that has it."""
    relay: Address | None = None
    """The relay that has its media, where that is another one than its node's token names."""
    answered_at: float | None = None
    """When the caller's ACK came."""
    accepted: bool = False
    """Whether a 2xx went to the caller."""
    dialog: Dialog | None = None
    """The dialog that the first 2xx made."""
    given_up: bool = False
    """Whether the caller said BYE before that."""


class CallBook:
    """The calls of this proxy by internal call id."""

    def __init__(self, *, max_calls: int = MAX_CALLS) -> None:
        self._max = max_calls
        self._calls: dict[str, Call] = {}
        self._waiting: Counter[str] = Counter()
        self._of_application: Counter[str] = Counter()
        self._of_account: Counter[str] = Counter()
        self._timers: Timers[str] = Timers()
        self._tokens: dict[Dialog, tuple[str, str]] = {}
        self._over: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def is_full(self) -> bool:
        """True if no further call has room."""
        return len(self._calls) >= self._max

    def unacknowledged(self, source_ip: str) -> int:
        """Return how many calls without a password of this source wait for their ACK."""
        return self._waiting[source_ip]

    def count(self, application_id: str, account_id: str) -> CallCount:
        """Return how many calls an application and an account have here."""
        return CallCount(self._of_application[application_id], self._of_account[account_id])

    def older_than(self, when: float) -> tuple[str, ...]:
        """Return the ids of the calls that were admitted before a monotonic time."""
        return tuple(call_id for call_id, call in self._calls.items() if call.added_at < when)

    def add(self, facts: CallFacts, *, capped: bool, now: float, shows_digits: bool = True) -> None:
        """Remember an admitted call."""
        self._calls[facts.call_id] = Call(facts, capped, added_at=now, shows_digits=shows_digits)
        self._of_application[facts.application_id] += 1
        self._of_account[facts.account_id] += 1
        if capped:
            self._waiting[facts.source_ip] += 1
        self._timers.set(facts.call_id, now + CALL_SECONDS)

    def has(self, call_id: str) -> bool:
        """Return whether a call was admitted here and is up."""
        return call_id in self._calls

    def shows_digits(self, call_id: str) -> bool:
        """Return whether what is stored of a call may show the caller's digits: of one that is not known here, it may not."""
        call = self._calls.get(call_id)
        return call is not None and call.shows_digits

    def move(self, call_id: str, node: Address) -> None:
        """Note the node that a call goes to."""
        call = self._calls.get(call_id)
        if call is not None:
            call.node = node

    def is_left(self, call_id: str, node: Address) -> bool:
        """Return whether a call has moved to another node: requests of the old one no longer concern it."""
        call = self._calls.get(call_id)
        return call is not None and call.node is not None and call.node != node

    def change_relay(self, call_id: str, relay: Address) -> None:
        """Note the relay of a call whose node has been told of another one."""
        call = self._calls.get(call_id)
        if call is not None:
            call.relay = relay

    def renew(self, token: RouteToken, text: str, seal: DialogSeal) -> tuple[RouteToken, str]:
        """Return a token and its text with the relay that the call has by now."""
        call = self._calls.get(token.call_id)
        if call is None or call.relay is None or call.relay == token.relay:
            return token, text
        renewed = replace(token, relay=call.relay)
        return renewed, renewed.sign(seal)

    def touch(self, call_id: str, now: float) -> None:
        """Note that a message of a call passed: it is not overdue."""
        if call_id in self._calls:
            self._timers.set(call_id, now + CALL_SECONDS)

    def acknowledge(self, call_id: str, now: float) -> CallFacts | None:
        """Note when the caller's first ACK came, and return the facts of its call; None for any other ACK."""
        call = self._calls.get(call_id)
        if call is None or call.answered_at is not None:
            return None
        call.answered_at = now
        self._release(call)
        return call.facts

    def accept(self, call_id: str, dialog: Dialog, token: str) -> None:
        """Note that a 2xx went to the caller, and the token of the dialog that it made."""
        call = self._calls.get(call_id)
        if call is not None and not call.accepted:
            call.accepted, call.dialog = True, dialog
            self._tokens[dialog] = call.facts.source_ip, token

    def token_of(self, dialog: Dialog, source_ip: str) -> str:
        """Return the text of a dialog's token for a request of its caller, "" where the dialog or the address is another."""
        known_ip, token = self._tokens.get(dialog, ("", ""))
        return token if known_ip == source_ip else ""

    def give_up(self, call_id: str) -> None:
        """Note the caller's BYE: before the answer it ends the call as a CANCEL does (RFC 3261 15.1.1)."""
        call = self._calls.get(call_id)
        if call is not None and not call.accepted:
            call.given_up = True

    def is_given_up(self, call_id: str) -> bool:
        """Return whether the caller said BYE before the call was answered."""
        call = self._calls.get(call_id)
        return call is not None and call.given_up

    def remove(self, call_id: str) -> Call | None:
        """Forget a call; None where it is unknown, at another proxy or forgotten before."""
        call = self._calls.pop(call_id, None)
        self._timers.cancel(call_id)
        if call is not None:
            if call.dialog is not None:
                self._tokens.pop(call.dialog, None)
            self._release(call)
            _count_down(self._of_application, call.facts.application_id)
            _count_down(self._of_account, call.facts.account_id)
        return call

    def close(self, call_id: str, now: float) -> None:
        """Remember for 64*T1 that a call has ended: messages of it may still be on their way."""
        while self._over and (next(iter(self._over.values())) <= now or len(self._over) >= MAX_OVER):
            self._over.popitem(last=False)
        self._over[call_id] = now + TIMEOUT

    def is_over(self, call_id: str, now: float) -> bool:
        """Return whether a call ended here less than 64*T1 ago."""
        return self._over.get(call_id, now) > now

    def get_timer(self) -> float | None:
        """Return when the next call is overdue."""
        return self._timers.next()

    def pop_silent(self, now: float) -> str | None:
        """Return the id of one call without any message for too long; the call stays until it is removed."""
        return self._timers.pop_due(now)

    def _release(self, call: Call) -> None:
        if call.capped:
            call.capped = False
            _count_down(self._waiting, call.facts.source_ip)


def _count_down(counter: Counter[str], key: str) -> None:
    """Decrement a count; a key at zero is removed, or strangers would fill the table."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
