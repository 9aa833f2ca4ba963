"""Repeat a response to an INVITE until the peer says that it came: a 2xx until its ACK (RFC 3261 section 13.3.1.4), a
reliable provisional response until its PRACK (RFC 3262 section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from callflow.sip.call_context import CallContext, CallTimer
from sipproxy.sip import Response
from sipproxy.transactions.events import Key
from sipproxy.transactions.tables import T1, T2, TIMEOUT


@dataclass(frozen=True, slots=True)
class Pace:
    """The timers of one kind of repetition."""

    repeat: CallTimer
    give_up: CallTimer
    longest: float
    """Seconds that the interval between two copies may grow to."""


ANSWER = Pace(CallTimer.REPEAT_ANSWER, CallTimer.ACK_MISSING, T2)
RINGING = Pace(CallTimer.REPEAT_RINGING, CallTimer.PRACK_MISSING, TIMEOUT)


class Repeater:
    """One response of one call that waits to be acknowledged; the user agent repeats it, as the transaction does not (RFC 6026)."""

    def __init__(self, context: CallContext, number: int, pace: Pace) -> None:
        self._context = context
        self._interval = T1
        self._number = number
        self._pace = pace
        self._waiting: tuple[Key, Response] | None = None

    @property
    def waiting(self) -> bool:
        """True while a response waits."""
        return self._waiting is not None

    def awaits(self, cseq: int) -> bool:
        """Return whether the response to the INVITE of this number waits."""
        return self._waiting is not None and self._waiting[1].cseq.number == cseq

    def stop(self) -> None:
        """Stop waiting: the response came, or the call is over."""
        self._waiting = None
        self._context.timers.cancel((self._number, self._pace.repeat))
        self._context.timers.cancel((self._number, self._pace.give_up))

    def repeat(self, now: float) -> None:
        """Send the response again and double the interval."""
        if self._waiting:
            self._interval = min(2 * self._interval, self._pace.longest)
            self._transmit(*self._waiting, now)

    def send(self, key: Key, response: Response, now: float) -> None:
        """Send a response until `stop`."""
        self._waiting = key, response
        self._interval = T1
        self._transmit(key, response, now)
        self._context.timers.set((self._number, self._pace.give_up), now + TIMEOUT)

    def _transmit(self, key: Key, response: Response, now: float) -> None:
        self._context.respond(key, response, now)
        self._context.timers.set((self._number, self._pace.repeat), now + self._interval)
