"""Hold what both directions of a call have in common: everything after its first INVITE.

Three exchanges may be open at a time and are kept apart: the answer that waits for its ACK (`_unacked`), our own INVITE
that refreshes the session (`_refresh_key`), and our OPTIONS that asks whether the peer is still there (`_options_key`).
An INVITE that meets one of the first two is refused as RFC 3261 14.2 says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callflow.sip.call_context import ALLOW, USER_AGENT, CallContext, CallTimer
from callflow.sip.dialogs import Dialog
from callflow.sip.events import CallClosed, CallEstablished, MediaChanged, PeerHungUp, PeerLost
from callflow.sip.sdp_answer import Description, LocalSession, RemoteMedia, SdpError
from callflow.sip.session_timer import SessionTimer, agree
from callflow.sip.states import CALL_STATES, CallMove, CallState
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key
from sipproxy.transactions.tables import T1, T2, TIMEOUT
from voiceapps.rules.endings import EndReason

SDP_TYPE = "application/sdp"
REFRESH_RETRY_SECONDS = 1.0
GONE = (408, 481)
"""Responses in a dialog that mean that the peer does not know it any more."""


@dataclass(slots=True)
class _Unacked:
    """Hold a 2xx that is repeated until its ACK comes (RFC 3261 13.3.1.4)."""

    key: Key
    response: Response
    cseq: int
    media: RemoteMedia | None
    """What was agreed; None where our 2xx made the offer and the ACK brings the answer."""
    interval: float = T1


class SipCall:
    """Hold one call's dialog; `IncomingCall` and `OutgoingCall` add how it comes to be."""

    def __init__(self, context: CallContext, number: int, state: CallState) -> None:
        self.dialog: Dialog | None = None
        self.number = number
        self.session_timer: SessionTimer | None = None
        self.state = state
        self._context = context
        self._local: LocalSession | None = None
        self._media: RemoteMedia | None = None
        self._options_key: Key | None = None
        self._refresh_key: Key | None = None
        self._unacked: _Unacked | None = None

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Return what later messages may name the call by."""
        return (self.dialog.key,) if self.dialog else ()

    # Inputs.

    def ack_received(self, ack: Request, now: float) -> None:
        """Take the ACK of our 2xx; others are repeats."""
        unacked = self._unacked
        if unacked is None or ack.cseq.number != unacked.cseq:
            return
        self._unacked = None
        self._context.timers.cancel((self.number, CallTimer.ACK_MISSING))
        self._context.timers.cancel((self.number, CallTimer.REPEAT_ANSWER))
        try:
            media = unacked.media or Description.parse(ack.body).audio()
        except SdpError:
            self._confirm()
            self._lose(EndReason.UNSUPPORTED_MEDIA)
            return
        self._agreed(media, now)

    def hang_up(self, status: int, now: float) -> None:
        """End the call from our side; `status` is for one that was not answered."""
        if self.state in (CallState.ANSWERED, CallState.CONFIRMED):
            self._leave(now)

    def request_received(self, key: Key, request: Request, now: float) -> None:
        """Answer a request in the dialog."""
        dialog = self.dialog
        if dialog is None or not dialog.accepts(request):
            self._refuse(key, request, 500, now)
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
            self._refuse(key, request, 405, now, [("Allow", ALLOW)])

    def response_received(self, key: Key, response: Response, request: Request, now: float) -> None:
        """Take a response to a request of ours."""
        if not response.is_final:
            return
        if request.method == "BYE":
            self._end()
        elif key == self._options_key:
            self._options_key = None
            if response.status in GONE:
                self._lose(EndReason.CALLER_UNREACHABLE)
        elif request.method == "INVITE" and self.dialog:
            self._on_refresh(response, request, now)

    def request_timed_out(self, key: Key, request: Request, now: float) -> None:
        """Nobody answered a request of ours."""
        if request.method == "BYE":
            self._end()
        elif key in (self._options_key, self._refresh_key):
            self._options_key = self._refresh_key = None
            self._lose(EndReason.CALLER_UNREACHABLE)

    def timer_fired(self, timer: CallTimer, now: float) -> None:
        """Do what is due."""
        match timer:
            case CallTimer.ACK_MISSING:
                self._lose(EndReason.ACK_TIMEOUT)
            case CallTimer.EXPIRE:
                self._lose(EndReason.CALLER_UNREACHABLE)
            case CallTimer.KEEPALIVE:
                self._send_options(now)
            case CallTimer.REFRESH:
                self._send_refresh(now)
            case CallTimer.REPEAT_ANSWER:
                self._repeat_answer(now)

    def transaction_ended(self, key: Key) -> None:
        """Take note that nothing more comes of a transaction."""

    # Requests of the peer.

    def _handle_bye(self, key: Key, request: Request, now: float) -> None:
        self._context.respond(key, request.make_response(200), now)
        if self.state is not CallState.LEAVING:
            self._context.tell(PeerHungUp(self.number))
        self._end()

    def _handle_harmless(self, key: Key, request: Request, now: float) -> None:
        response = request.make_response(200)
        response.append("Allow", ALLOW)
        self._context.respond(key, response, now)

    def _handle_invite(self, key: Key, request: Request, now: float) -> None:
        if self._refresh_key is not None:
            self._refuse(key, request, 491, now)
        elif self.state is not CallState.CONFIRMED or self._unacked or self._local is None:
            self._refuse(key, request, 500, now, [("Retry-After", "1")])
        else:
            self._accept_invite(key, request, self._local, now)

    def _accept_invite(self, key: Key, request: Request, local: LocalSession, now: float) -> None:
        try:
            body, media = local.answer(Description.parse(request.body)) if request.body else (local.offer(), None)
        except SdpError:
            self._refuse(key, request, 488, now)
            return
        if self.dialog:
            self.dialog.refresh_target(request)
        if self._context.config.session_expires:
            self.session_timer = agree(request, self._context.config.session_expires)
        self._send_answer(key, request, body, media, now)

    def _refuse(self, key: Key, request: Request, status: int, now: float, headers: list[tuple[str, str]] | None = None) -> None:
        response = request.make_response(status, to_tag=self._context.new_token())
        for name, value in headers or []:
            response.append(name, value)
        self._context.respond(key, response, now)

    # Our answers.

    def _send_answer(self, key: Key, request: Request, body: bytes, media: RemoteMedia | None, now: float) -> None:
        """Send a 2xx and repeat it until its ACK comes."""
        response = request.make_response(200)
        self._describe(response)
        response.set_body(body, SDP_TYPE)
        self._unacked = _Unacked(key, response, request.cseq.number, media)
        self._context.respond(key, response, now)
        self._context.timers.set((self.number, CallTimer.REPEAT_ANSWER), now + T1)
        self._context.timers.set((self.number, CallTimer.ACK_MISSING), now + TIMEOUT)

    def _describe(self, response: Response) -> None:
        """Add what a 2xx to an INVITE says of us."""
        if self.dialog:
            response.append("Contact", f"<{self.dialog.contact}>")
        for name, value in self.session_timer.headers() if self.session_timer else []:
            response.append(name, value)
        response.append("Allow", ALLOW)
        response.append("Supported", "timer")
        response.append("Server", USER_AGENT)

    def _repeat_answer(self, now: float) -> None:
        if self._unacked:
            self._unacked.interval = min(2 * self._unacked.interval, T2)
            self._context.respond(self._unacked.key, self._unacked.response, now)
            self._context.timers.set((self.number, CallTimer.REPEAT_ANSWER), now + self._unacked.interval)

    def _agreed(self, media: RemoteMedia, now: float) -> None:
        """Offer and answer are complete: media may flow as they say."""
        before, self._media = self._media, media
        if self.state is not CallState.CONFIRMED:
            self._confirm()
            self._context.tell(CallEstablished(self.number, media))
            self._arm_keepalive(now)
        elif media != before:
            self._context.tell(MediaChanged(self.number, media))
        self._arm_session(now)

    # Requests of ours.

    def _send_in_dialog(self, method: str, now: float, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> Key | None:
        if self.dialog is None:
            return None
        request = self.dialog.make_request(method, self._context.via(), headers or [], body)
        return self._context.send(self.number, request, self.dialog.next_hop(), now)

    def _send_options(self, now: float) -> None:
        if self._options_key is None:
            self._options_key = self._send_in_dialog("OPTIONS", now)
        self._arm_keepalive(now)

    def _send_refresh(self, now: float) -> None:
        """Refresh the session by an INVITE that changes nothing (RFC 4028 section 9)."""
        timer = self.session_timer
        if self._unacked or self._local is None or timer is None or self.dialog is None:
            self._context.timers.set((self.number, CallTimer.REFRESH), now + REFRESH_RETRY_SECONDS)
            return
        headers = [
            ("Contact", f"<{self.dialog.contact}>"),
            ("Supported", "timer"),
            ("Session-Expires", f"{timer.seconds};refresher=uac"),
            ("Allow", ALLOW),
            ("Content-Type", SDP_TYPE),
        ]
        self._refresh_key = self._send_in_dialog("INVITE", now, headers, self._local.repeat())

    def _on_refresh(self, response: Response, request: Request, now: float) -> None:
        if response.status < 300:
            self._acknowledge(request.cseq.number)
        if self._refresh_key is None:
            return
        self._refresh_key = None
        if response.status in GONE:
            self._lose(EndReason.CALLER_UNREACHABLE)
        elif response.status == 491:
            self._context.timers.set((self.number, CallTimer.REFRESH), now + REFRESH_RETRY_SECONDS)
        else:
            self._on_refresh_done(response, now)

    def _on_refresh_done(self, response: Response, now: float) -> None:
        """Follow what the peer answered; any other refusal leaves the session as it was."""
        self._arm_session(now)
        if response.status >= 300:
            return
        if self.dialog:
            self.dialog.refresh_target(response)
        try:
            media = Description.parse(response.body).audio()
        except SdpError:
            return
        self._agreed(media, now)

    def _acknowledge(self, cseq: int) -> None:
        if self.dialog:
            ack = self.dialog.make_ack(cseq, self._context.via(), [])
            self._context.layer.send_stateless(bytes(ack), self.dialog.next_hop())

    # Timers and the end.

    def _arm_keepalive(self, now: float) -> None:
        seconds = self._context.config.keepalive_seconds
        if seconds and self.state is CallState.CONFIRMED:
            self._context.timers.set((self.number, CallTimer.KEEPALIVE), now + seconds)

    def _arm_session(self, now: float) -> None:
        if self.session_timer and self.state is CallState.CONFIRMED:
            timer = CallTimer.REFRESH if self.session_timer.we_refresh else CallTimer.EXPIRE
            self._context.timers.set((self.number, timer), now + self.session_timer.due_after)

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
        self._unacked = None
        self._context.cancel_timers(self.number)
        self._send_in_dialog("BYE", now)

    def _lose(self, reason: EndReason) -> None:
        """Report that the peer is gone, once: nothing is asked of it any more but the BYE."""
        self._unacked = None
        self._context.cancel_timers(self.number)
        if self.state in (CallState.ANSWERED, CallState.CONFIRMED):
            self._context.tell(PeerLost(self.number, reason))

    def _move(self, move: CallMove) -> None:
        self.state = CALL_STATES[self.state][move]
