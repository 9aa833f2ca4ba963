"""What both directions of a call have in common: everything after its first INVITE.

Three exchanges may be open at a time and are kept apart: the answer that waits for its ACK (`answer_repeater.py`), our own
INVITE that refreshes the session (`session_refresh.py`), and our OPTIONS that asks whether the peer is still there
(`keepalive.py`). An INVITE that meets one of the first two is refused as RFC 3261 section 14.2 says.
"""

from __future__ import annotations

from collections.abc import Callable

from callflow.sip.answer_repeater import AnswerRepeater
from callflow.sip.call_context import SDP_TYPE, USER_AGENT, CallContext, CallTimer
from callflow.sip.dialogs import Dialog
from callflow.sip.events import CallClosed, CallEstablished, MediaChanged, PeerHungUp, PeerLost
from callflow.sip.keepalive import Keepalive
from callflow.sip.sdp_answer import LocalSession, RemoteMedia, RemoteSdp, SdpError
from callflow.sip.session_refresh import SessionRefresh
from callflow.sip.states import CALL_STATES, CallMove, CallState
from sipproxy.sip import Request, Response
from sipproxy.sip.methods import ALLOW
from sipproxy.transactions.events import Key
from voiceapps.rules.endings import EndReason

GONE = (408, 481)
"""Responses in a dialog which say that the peer does not know it any more."""


class SipCall:
    """One call's dialog; `IncomingCall` and `OutgoingCall` add how it comes to be."""

    def __init__(self, context: CallContext, number: int, state: CallState) -> None:
        self.dialog: Dialog | None = None
        self.number = number
        self.state = state
        self._answer = AnswerRepeater(context, number)
        self._context = context
        self._keepalive = Keepalive(context, number)
        self._local: LocalSession | None = None
        self._media: RemoteMedia | None = None
        self._refresh = SessionRefresh(context, number)

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The keys by which later messages find the call."""
        return (self.dialog.key,) if self.dialog else ()

    # Inputs.

    def ack_received(self, ack: Request, now: float) -> None:
        """Take the ACK of our 2xx; repeats are ignored."""
        try:
            media = self._answer.take_ack(ack)
        except SdpError:
            self._confirm()
            self._lose(EndReason.UNSUPPORTED_MEDIA)
            return
        if media is not None:
            self._agreed(media, now)

    def hang_up(self, status: int, now: float) -> None:
        """End the call from our side; `status` is the final response if it is unanswered."""
        if self.state in (CallState.ANSWERED, CallState.CONFIRMED):
            self._leave(now)

    def request_received(self, key: Key, request: Request, now: float) -> None:
        """Answer a request in the dialog."""
        dialog = self.dialog
        if dialog is None or not dialog.accepts(request):
            self._context.answer_request(key, request, 500, now)
            return
        handlers: dict[str, Callable[[Key, Request, float], None]] = {
            "BYE": self._handle_bye,
            "INFO": self._handle_harmless,
            "INVITE": self._handle_invite,
            "OPTIONS": self._handle_harmless,
        }
        handler = handlers.get(request.method)
        if handler:
            handler(key, request, now)
        else:
            self._context.answer_request(key, request, 405, now, [("Allow", ALLOW)])

    def response_received(self, key: Key, response: Response, request: Request, now: float) -> None:
        """Take a response to our BYE, OPTIONS or INVITE."""
        if not response.is_final:
            return
        if request.method == "BYE":
            self._end()
        elif key == self._keepalive.key:
            self._keepalive.key = None
            if response.status in GONE:
                self._lose(EndReason.CALLER_UNREACHABLE)
        elif request.method == "INVITE" and self.dialog:
            self._on_refresh(response, request, now)

    def request_timed_out(self, key: Key, request: Request, now: float) -> None:
        """Report the peer as lost: it did not answer a request of ours."""
        if request.method == "BYE":
            self._end()
        elif key in (self._keepalive.key, self._refresh.key):
            self._keepalive.key = self._refresh.key = None
            self._lose(EndReason.CALLER_UNREACHABLE)

    def timer_fired(self, timer: CallTimer, now: float) -> None:
        """Do what a timer is for."""
        match timer:
            case CallTimer.ACK_MISSING:
                self._lose(EndReason.ACK_TIMEOUT)
            case CallTimer.EXPIRE:
                self._lose(EndReason.CALLER_UNREACHABLE)
            case CallTimer.KEEPALIVE:
                if self.dialog:
                    self._keepalive.send(self.dialog, now)
            case CallTimer.REFRESH:
                self._send_refresh(now)
            case CallTimer.REPEAT_ANSWER:
                self._answer.repeat(now)

    def transaction_ended(self, key: Key) -> None:
        """Take note that a transaction of ours is over."""

    # Requests of the peer.

    def _handle_bye(self, key: Key, request: Request, now: float) -> None:
        self._context.respond(key, request.make_response(200), now)
        if self.state is not CallState.LEAVING:
            self._context.tell(PeerHungUp(self.number))
        self._end()

    def _handle_harmless(self, key: Key, request: Request, now: float) -> None:
        self._context.answer_request(key, request, 200, now, [("Allow", ALLOW)])

    def _handle_invite(self, key: Key, request: Request, now: float) -> None:
        if self._refresh.key is not None:
            self._context.answer_request(key, request, 491, now)
        elif self.state is not CallState.CONFIRMED or self._answer.waiting or self._local is None:
            self._context.answer_request(key, request, 500, now, [("Retry-After", "1")])
        else:
            self._accept_invite(key, request, self._local, now)

    def _accept_invite(self, key: Key, request: Request, local: LocalSession, now: float) -> None:
        try:
            body, media = local.answer(RemoteSdp.parse(request.body)) if request.body else (local.offer(), None)
        except SdpError:
            self._context.answer_request(key, request, 488, now)
            return
        if self.dialog:
            self.dialog.refresh_target(request)
        self._refresh.agree(request)
        self._send_answer(key, request, body, media, now)

    # Our answers.

    def _send_answer(self, key: Key, request: Request, body: bytes, media: RemoteMedia | None, now: float) -> None:
        """Send a 2xx and repeat it until its ACK comes."""
        response = request.make_response(200)
        self._describe(response)
        response.set_body(body, SDP_TYPE)
        self._answer.send(key, response, media, now)

    def _describe(self, response: Response) -> None:
        """Add the headers that a 2xx to an INVITE has: target, session timer and capabilities."""
        if self.dialog:
            response.append("Contact", f"<{self.dialog.contact}>")
        for name, value in self._refresh.response_headers():
            response.append(name, value)
        response.append("Allow", ALLOW)
        response.append("Supported", "timer")
        response.append("Server", USER_AGENT)

    def _agreed(self, media: RemoteMedia, now: float) -> None:
        """Report what offer and answer agreed on: media may flow."""
        before, self._media = self._media, media
        if self.state is not CallState.CONFIRMED:
            self._confirm()
            self._context.tell(CallEstablished(self.number, media))
            self._keepalive.arm(now)
        elif media != before:
            self._context.tell(MediaChanged(self.number, media))
        self._arm_session(now)

    # Requests of ours.

    def _send_refresh(self, now: float) -> None:
        """Refresh the session by an INVITE that changes nothing (RFC 4028 section 9)."""
        timer = self._refresh.timer
        if self._answer.waiting or self._local is None or timer is None or self.dialog is None:
            self._refresh.retry(now)
            return
        self._refresh.send(self.dialog, timer, self._local.repeat(), now)

    def _on_refresh(self, response: Response, request: Request, now: float) -> None:
        if response.status < 300:
            self._acknowledge(request.cseq.number)
        if self._refresh.key is None:
            return
        self._refresh.key = None
        if response.status in GONE:
            self._lose(EndReason.CALLER_UNREACHABLE)
        elif response.status == 491:
            self._refresh.retry(now)
        else:
            self._on_refresh_done(response, now)

    def _on_refresh_done(self, response: Response, now: float) -> None:
        """Take the answer to our refresh; any other refusal leaves the session as it was."""
        self._arm_session(now)
        if response.status >= 300:
            return
        if self.dialog:
            self.dialog.refresh_target(response)
        try:
            media = RemoteSdp.parse(response.body).audio()
        except SdpError:
            return
        self._agreed(media, now)

    def _acknowledge(self, cseq: int) -> None:
        if self.dialog:
            ack = self.dialog.make_ack(cseq, self._context.via(), [])
            self._context.layer.send_stateless(bytes(ack), self.dialog.next_hop())

    # Timers and the end.

    def _arm_session(self, now: float) -> None:
        if self.state is CallState.CONFIRMED:
            self._refresh.arm(now)

    def _confirm(self) -> None:
        if self.state is not CallState.CONFIRMED:
            self._move(CallMove.CONFIRM)

    def _end(self) -> None:
        if self.state is CallState.OVER:
            return
        self._move(CallMove.END)
        self._context.cancel_timers(self.number)
        self._context.tell(CallClosed(self.number))

    def _leave(self, now: float) -> None:
        self._move(CallMove.LEAVE)
        self._answer.drop()
        self._context.cancel_timers(self.number)
        self._send_bye(now)

    def _send_bye(self, now: float) -> None:
        if self.dialog:
            self._context.send_in_dialog(self.number, self.dialog, "BYE", now)

    def _lose(self, reason: EndReason) -> None:
        """Report once that the peer is gone; from now on only a BYE is sent to it."""
        self._answer.drop()
        self._context.cancel_timers(self.number)
        if self.state in (CallState.ANSWERED, CallState.CONFIRMED):
            self._context.tell(PeerLost(self.number, reason))

    def _move(self, move: CallMove) -> None:
        self.state = CALL_STATES[self.state][move]
