"""What both directions of a call have in common: everything after its first INVITE.

Five exchanges may be open at a time and are kept apart: the answer that waits for its ACK (`repeater.py`), the offers and
answers (`negotiation.py`), our own INVITE that refreshes the session (`session_refresh.py`), our OPTIONS that asks
whether the peer is still there (`keepalive.py`), and our REFER with the NOTIFYs that it brings (`referral.py`). Requests
that meet an open exchange are refused as RFC 3261 section 14.2 and RFC 3311 section 5.2 say. A refused request changes
nothing: the peer's target moves only with a 2xx.
"""

from __future__ import annotations

from collections.abc import Callable

from callflow.sip.answers import make_success
from callflow.sip.bodies import read_description
from callflow.sip.call_context import CAPABILITIES, CallContext, CallTimer
from callflow.sip.call_header import is_late, read_age, read_reach
from callflow.sip.dialogs import Dialog
from callflow.sip.events import (
    CallClosed,
    CallEstablished,
    DigitSignalled,
    MediaChanged,
    PeerAnswered,
    PeerHungUp,
    PeerLost,
)
from callflow.sip.info_digits import read_digit
from callflow.sip.keepalive import GONE, Keepalive
from callflow.sip.negotiation import Negotiation
from callflow.sip.referral import Referral
from callflow.sip.repeater import ANSWER, Repeater
from callflow.sip.sdp_answer import RemoteMedia, RemoteSdp
from callflow.sip.session_refresh import SessionRefresh
from callflow.sip.states import CALL_STATES, CallMove, CallState
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import Message, NameAddr, PeerError, Request, Response
from sipproxy.transactions.events import Key
from voiceapps.rules.endings import EndReason


class CallLife:
    """The state of a call, and the ways in which it ends."""

    def __init__(self, context: CallContext, number: int, state: CallState) -> None:
        self.dialog: Dialog | None = None
        self.number = number
        self.state = state
        self._answer = Repeater(context, number, ANSWER)
        self._context = context

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The keys by which later messages find the call."""
        return (self.dialog.key,) if self.dialog else ()

    def hang_up(self, status: int, now: float) -> None:
        """End the call from our side; `status` is the final response if it is unanswered."""
        if self.state in (CallState.ANSWERED, CallState.CONFIRMED):
            self._leave(now)

    def _tell_life(self) -> None:
        if self.state is CallState.CONFIRMED:
            self._context.tell(PeerAnswered(self.number))

    def _end(self) -> None:
        if self.state is CallState.OVER:
            return
        self._move(CallMove.END)
        self._context.cancel_timers(self.number)
        self._context.tell(CallClosed(self.number))

    def _leave(self, now: float) -> None:
        self._move(CallMove.LEAVE)
        self._answer.stop()
        self._context.cancel_timers(self.number)
        self._send_bye(now)

    def _send_bye(self, now: float) -> None:
        if self.dialog:
            self._context.send_in_dialog(self.number, self.dialog, "BYE", now)

    def _lose(self, reason: EndReason) -> None:
        """Report once that the peer is gone; from now on only a BYE, or the final response, is sent to it."""
        self._answer.stop()
        self._context.cancel_timers(self.number)
        if self.state in (CallState.INVITED, CallState.ANSWERED, CallState.CONFIRMED):
            self._context.tell(PeerLost(self.number, reason))

    def _move(self, move: CallMove) -> None:
        self.state = CALL_STATES[self.state][move]


class SipCall(CallLife):
    """One call's dialog; `IncomingCall` and `OutgoingCall` add how it comes to be."""

    def __init__(self, context: CallContext, number: int, state: CallState, security: MediaSecurity) -> None:
        super().__init__(context, number, state)
        self._keepalive = Keepalive(context, number)
        self._negotiation = Negotiation(number, security, context.new_key)
        self._referral = Referral(context, number)
        self._refresh = SessionRefresh(context, number, self._negotiation)
        self._told: RemoteMedia | None = None
        """The media that the shell knows of."""

    # Inputs.

    def ack_received(self, ack: Request, now: float) -> None:
        """Take the ACK of our 2xx; repeats are ignored."""
        if not self._answer.awaits(ack.cseq.number):
            return
        self._answer.stop()
        try:
            if self._negotiation.offering:
                self._negotiation.take_answer(self._read(ack))
        except PeerError:
            self._on_unanswered_offer()
        else:
            self._agreed(now)

    def probe(self, now: float) -> None:
        """Ask by OPTIONS whether the peer is still there; `PeerAnswered` or `PeerSilent` tells."""
        if self.dialog and self.state is CallState.CONFIRMED:
            self._keepalive.ask(self.dialog, now)

    def refer(self, number: int, target: str, now: float) -> None:
        """Ask the peer by REFER to call a SIP URI; `ReferOver` tells by this number what came of it."""
        if self.dialog and self.state is CallState.CONFIRMED:
            self._referral.ask(self.dialog, number, target, now)

    def request_received(self, key: Key, request: Request, now: float) -> None:
        """Answer a request in the dialog; raises PeerError with the status that refuses it."""
        dialog = self.dialog
        if dialog is None or not dialog.accepts(request):
            raise PeerError(500, "The request is out of order.")
        if request.method == "BYE":
            self._handle_bye(key, request, now)
            return
        if self.state is CallState.LEAVING:
            raise PeerError(481, "Our BYE has ended the dialog.")
        self._tell_life()
        handlers: dict[str, Callable[[Key, Request, float], None]] = {
            "INFO": self._handle_info,
            "INVITE": self._handle_invite,
            "NOTIFY": self._referral.take_notify,
            "OPTIONS": self._handle_options,
            "PRACK": self._handle_prack,
            "UPDATE": self._handle_update,
        }
        handler = handlers.get(request.method)
        if handler is None:
            raise PeerError(405, "The dialog does not serve this method.")
        handler(key, request, now)

    def response_received(self, key: Key, response: Response, request: Request, now: float) -> None:
        """Take a response to a request of ours."""
        if not response.is_final:
            return
        if request.method == "INVITE" and self.dialog:
            self._on_refreshed(self.dialog, response, request, now)
        else:
            self._take_status(key, request, response.status, now)

    def request_timed_out(self, key: Key, request: Request, now: float) -> None:
        """Report that the peer did not answer a request of ours; the session is over if that was its refresh."""
        if key == self._refresh.key:
            self._refresh.key = None
            self._lose(EndReason.CALLER_UNREACHABLE)
        else:
            self._take_status(key, request, 408, now)

    def timer_fired(self, timer: CallTimer, now: float) -> None:
        """Do what a timer is for."""
        match timer:
            case CallTimer.ACK_MISSING:
                self._lose(EndReason.ACK_TIMEOUT)
            case CallTimer.EXPIRE:
                self._lose(EndReason.CALLER_UNREACHABLE)
            case CallTimer.KEEPALIVE:
                self.probe(now)
                self._keepalive.arm(now)
            case CallTimer.OUTCOME_MISSING:
                self._referral.give_up()
            case CallTimer.REFRESH:
                if self.dialog:
                    self._refresh.send(self.dialog, now)
            case CallTimer.REPEAT_ANSWER:
                self._answer.repeat(now)
            case _:
                pass

    def transaction_ended(self, key: Key) -> None:
        """Take note that a transaction of ours is over."""

    # Requests of the peer.

    def _handle_bye(self, key: Key, request: Request, now: float) -> None:
        self._context.respond(key, request.make_response(200), now)
        if self.state is not CallState.LEAVING:
            self._context.tell(PeerHungUp(self.number, self._context.came_at - read_age(request), late=is_late(request)))
        self._end()

    def _handle_info(self, key: Key, request: Request, now: float) -> None:
        digit = read_digit(request)
        if digit and self.state is not CallState.CONFIRMED:
            raise PeerError(500, "Nobody takes digits before the call is answered.")
        self._context.answer_request(key, request, 200, now)
        if digit:
            self._context.tell(DigitSignalled(self.number, digit.digit, digit.duration_ms))

    def _handle_invite(self, key: Key, request: Request, now: float) -> None:
        if self._refresh.key is not None:
            raise PeerError(491, "Our own INVITE is open.")
        if self.state is not CallState.CONFIRMED or self._answer.waiting:
            raise PeerError(500, "An earlier INVITE is open.")
        contact = self._check(request)
        offer = self._read(request)
        body = self._negotiation.answer_next(offer) if offer else self._negotiation.offer()
        self._accept(request, contact, now)
        self._send_answer(key, request, body, now)

    def _handle_options(self, key: Key, request: Request, now: float) -> None:
        self._context.answer_request(key, request, 200, now, CAPABILITIES)

    def _handle_prack(self, key: Key, request: Request, now: float) -> None:
        raise PeerError(481, "No provisional response waits for a PRACK.")

    def _handle_update(self, key: Key, request: Request, now: float) -> None:
        contact = self._check(request)
        offer = self._read(request)
        body = self._negotiation.answer_next(offer) if offer else b""
        self._accept(request, contact, now)
        self._context.respond(key, make_success(request, self.dialog, self._refresh, body), now)
        if self.state is CallState.CONFIRMED:
            self._agreed(now)

    def _check(self, request: Request) -> NameAddr | None:
        """Return the target of an INVITE or UPDATE; raises PeerError if its target or its session interval cannot be accepted."""
        self._refresh.check(request)
        return request.contact

    def _accept(self, request: Request, contact: NameAddr | None, now: float) -> None:
        """Take what an INVITE or UPDATE says of its sender: a 2xx follows."""
        if self.dialog:
            self.dialog.refresh_target(contact)
        self._refresh.agree(request)
        self._keepalive.follow(read_reach(request))
        if self.state is CallState.CONFIRMED:
            self._keepalive.arm(now)

    def _read(self, message: Message) -> RemoteSdp | None:
        return read_description(message, self._negotiation.security)

    # Our answers.

    def _send_answer(self, key: Key, request: Request, body: bytes, now: float) -> None:
        """Send a 2xx and repeat it until its ACK comes."""
        self._answer.send(key, make_success(request, self.dialog, self._refresh, body), now)

    def _agreed(self, now: float) -> None:
        """Report what offer and answer agreed on: media may flow."""
        if self.state is not CallState.CONFIRMED:
            self._move(CallMove.CONFIRM)
            self._keepalive.arm(now)
        self._tell_media()
        self._refresh.arm(now)

    def _tell_media(self) -> None:
        """Tell the shell of the media that was agreed on last, unless it knows."""
        before, media = self._told, self._negotiation.media
        if media is not None and media != before:
            self._told = media
            self._context.tell(MediaChanged(self.number, media) if before else CallEstablished(self.number, media, self._context.came_at))

    def _on_unanswered_offer(self) -> None:
        """Go on as before an offer of ours that was never answered; without an earlier agreement the call is lost."""
        if self.state is CallState.CONFIRMED:
            self._negotiation.withdraw()
        else:
            self._lose(EndReason.UNSUPPORTED_MEDIA)

    # Requests of ours.

    def _take_status(self, key: Key, request: Request, status: int, now: float) -> None:
        """Take the final status of a request of ours that is no INVITE, 408 if none came (RFC 3261 section 8.1.3.1)."""
        if request.method == "BYE":
            self._end()
        elif key == self._keepalive.key:
            self._keepalive.take(status)
        elif key == self._referral.key:
            self._referral.take(status, now)

    def _on_refreshed(self, dialog: Dialog, response: Response, request: Request, now: float) -> None:
        """Take the final response to our INVITE that refreshes the session; each copy of a 2xx is acknowledged."""
        if response.status < 300:
            self._acknowledge(request.cseq.number)
        if self._refresh.key is None:
            return
        self._refresh.take(dialog, response, now)
        if response.status in GONE:
            self._lose(EndReason.CALLER_UNREACHABLE)
        else:
            self._tell_life()
            self._tell_media()

    def _acknowledge(self, cseq: int) -> None:
        if self.dialog:
            ack = self.dialog.make_ack(cseq, self._context.via(), [])
            self._context.layer.send_stateless(bytes(ack), self.dialog.next_hop())
