"""Repeat a 2xx to an INVITE until its ACK comes (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from dataclasses import dataclass

from callflow.sip.call_context import CallContext, CallTimer
from callflow.sip.sdp_answer import RemoteMedia, RemoteSdp
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key
from sipproxy.transactions.tables import T1, T2, TIMEOUT


@dataclass(slots=True)
class _UnackedAnswer:
    """A 2xx whose ACK has not come."""

    key: Key
    response: Response
    media: RemoteMedia | None
    """What was agreed; None if our 2xx made the offer and the ACK brings the answer."""
    interval: float = T1


class AnswerRepeater:
    """The 2xx of one call that waits for its ACK; the user agent repeats it, as the transaction does not (RFC 6026)."""

    def __init__(self, context: CallContext, number: int) -> None:
        self._answer: _UnackedAnswer | None = None
        self._context = context
        self._number = number

    @property
    def waiting(self) -> bool:
        """True while a 2xx waits for its ACK."""
        return self._answer is not None

    def drop(self) -> None:
        """Stop waiting: the call is over. Its timers are cancelled with all others of the call."""
        self._answer = None

    def repeat(self, now: float) -> None:
        """Send the 2xx again and double the interval, up to T2."""
        answer = self._answer
        if answer:
            answer.interval = min(2 * answer.interval, T2)
            self._context.respond(answer.key, answer.response, now)
            self._context.timers.set((self._number, CallTimer.REPEAT_ANSWER), now + answer.interval)

    def send(self, key: Key, response: Response, media: RemoteMedia | None, now: float) -> None:
        """Send a 2xx; `media` is what it agrees to, None if it makes the offer."""
        self._answer = _UnackedAnswer(key, response, media)
        self._context.respond(key, response, now)
        self._context.timers.set((self._number, CallTimer.REPEAT_ANSWER), now + T1)
        self._context.timers.set((self._number, CallTimer.ACK_MISSING), now + TIMEOUT)

    def take_ack(self, ack: Request) -> RemoteMedia | None:
        """Return what the ACK of our 2xx agrees to, None if the ACK is a repeat; raises SdpError."""
        answer = self._answer
        if answer is None or ack.cseq.number != answer.response.cseq.number:
            return None
        self._answer = None
        self._context.timers.cancel((self._number, CallTimer.ACK_MISSING))
        self._context.timers.cancel((self._number, CallTimer.REPEAT_ANSWER))
        return answer.media or RemoteSdp.parse(ack.body).audio()
