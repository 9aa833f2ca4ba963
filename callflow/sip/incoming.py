"""A call that arrived: the server side of its first INVITE.

It rings at once by 180. A caller that requires reliable provisional responses (RFC 3262) gets its 180 as soon as the address
of our audio is known, because a reliable response has to answer the offer, or make one: only then may a PRACK or an UPDATE
carry the next offer. That 180 is repeated until its PRACK comes, and the 2xx waits for it. Callers that merely support
reliable responses get plain ones.
"""

from __future__ import annotations

import re

from callflow.sip.answers import make_success
from callflow.sip.call import SipCall
from callflow.sip.call_context import REFUSAL_HEADERS, SDP_TYPE, USER_AGENT, CallContext, CallTimer
from callflow.sip.call_header import is_proven, read_media_security, read_reach
from callflow.sip.caller_details import read_caller_details
from callflow.sip.dialogs import Dialog
from callflow.sip.events import CallAccepted, CallArrived, CallCancelled, EarlyMediaOpened, Problem
from callflow.sip.repeater import RINGING, Repeater
from callflow.sip.sdp_answer import NEEDS_TLS, RemoteSdp, SdpError
from callflow.sip.states import CallMove, CallState
from daemonkit.address import Address
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import PeerError, Request, Response
from sipproxy.transactions.events import Key
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallFacts

RELIABLE = "100rel"
UNSUPPORTED_TYPE = 415
NOT_ACCEPTABLE = 488
OTHER_WARNING = 399
"""The code of a warning without a code of its own (RFC 3261 section 20.43)."""
STILL_RINGING_SECONDS = 60.0
"""How often we say that a call still rings: proxies give up an INVITE of which they hear nothing for three minutes."""
_RACK = re.compile(r"(\d{1,10})\s+(\d{1,10})\s+(\S+)", re.ASCII)


class IncomingCall(SipCall):
    """A call that arrived; it rings at once, and the shell answers or refuses it."""

    def __init__(self, context: CallContext, number: int, key: Key, invite: Request, source: Address) -> None:
        super().__init__(context, number, CallState.INVITED, read_media_security(invite))
        self.invite_key = key
        self._accepted = False
        """True once the shell has answered; the 2xx may still wait for a PRACK."""
        self._invite = invite
        self._offer: RemoteSdp | None = None
        self._problem: Problem | None = None
        """Why its body cannot be served."""
        self._preview = b""
        """Our answer to the offer, as a 183 has told it: the 2xx repeats it (RFC 6337 section 3.1.1)."""
        self._wants_early = False
        """True while the caller shall hear us and does not yet."""
        self._rseq = 0
        """The number of our last reliable response."""
        self._reliable = RELIABLE in (value.lower() for value in invite.values("require"))
        self._ringing = Repeater(context, number, RINGING)
        self.dialog = Dialog.of_server(invite, context.new_token(), source)
        self._keepalive.follow(read_reach(invite))

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The dialog's ID, and the Call-ID and From tag that every copy of the INVITE has, whatever its branch."""
        return *super().names, (self._invite.call_id, self._invite.from_.tag)

    def arrive(self, facts: CallFacts, now: float) -> None:
        """Report the call, and send 180 unless the body is no offer that can be accepted, or a reliable 180 has to wait for `ring`."""
        problem = self._problem = self._find_problem()
        if problem is None and not self._reliable:
            self._ring_on(now)
        wants_ring = problem is None and self._reliable
        self._context.tell(
            CallArrived(
                self.number,
                facts,
                read_caller_details(self._invite),
                read_reach(self._invite),
                problem,
                wants_ring,
                is_proven(self._invite) or self._reliable,
            )
        )

    def ring(self, address: Address, now: float) -> None:
        """Send the reliable 180 of a caller that requires one; we receive audio at `address`."""
        if self.state is not CallState.INVITED or not self._reliable or self._ringing.waiting:
            return
        self._negotiation.open(address)
        self._ring_reliably(self._describe_first(), now)

    def progress(self, address: Address, now: float) -> None:
        """Let the caller hear us before the answer: by 183 with what will be our answer, or as its PRACK has agreed.

        A caller without an offer hears nothing, as there is nothing to answer, and one whose PRACK is missing not yet.
        """
        if self.state is not CallState.INVITED or self._accepted:
            return
        if self._offer is not None and not self._reliable and not self._preview:
            self._negotiation.open(address)
            self._preview = self._describe_first()
            response = self._make_ringing(183)
            response.set_body(self._preview, SDP_TYPE)
            self._context.respond(self.invite_key, response, now)
        self._wants_early = True
        self._open_early_media()

    def _open_early_media(self) -> None:
        media = self._negotiation.media
        if self._wants_early and media is not None and not self._ringing.waiting:
            self._wants_early = False
            self._context.tell(EarlyMediaOpened(self.number, media))

    def answer(self, address: Address, keepalive: float, now: float) -> None:
        """Answer with 200; we receive audio at `address`, and ask a caller behind NAT or on a stream every `keepalive` seconds."""
        if self.state is not CallState.INVITED or self._accepted:
            return
        self._accepted = True
        self._keepalive.seconds = keepalive
        self._negotiation.open(address)
        if not self._ringing.waiting:
            self._accept_call(now)

    def cancelled(self, now: float) -> None:
        """Answer the cancelled INVITE with 487."""
        if self.state is CallState.INVITED:
            self._refuse(487, now)
            self._context.tell(CallCancelled(self.number))
            self._end()

    def hang_up(self, status: int, now: float) -> None:
        """Refuse the call with `status`, or send BYE if it is answered."""
        if self.state is CallState.INVITED:
            self._refuse(status, now)
            self._end()
        else:
            super().hang_up(status, now)

    def timer_fired(self, timer: CallTimer, now: float) -> None:
        """Do what a timer is for."""
        match timer:
            case CallTimer.PRACK_MISSING:
                self._ringing.stop()
                self._lose(EndReason.ACK_TIMEOUT)
            case CallTimer.REPEAT_RINGING:
                self._ringing.repeat(now)
            case CallTimer.STILL_RINGING:
                self._ring_on(now)
            case _:
                super().timer_fired(timer, now)

    # Requests before the answer.

    def _handle_bye(self, key: Key, request: Request, now: float) -> None:
        """End the call; a caller may send BYE before the answer, too (RFC 3261 section 15)."""
        if self.state is CallState.INVITED:
            self._context.respond(key, request.make_response(200), now)
            self.cancelled(now)
        else:
            super()._handle_bye(key, request, now)

    def _handle_prack(self, key: Key, request: Request, now: float) -> None:
        """Take the PRACK of our reliable 180, with the answer to our offer or a further offer (RFC 3262 section 5).

        A further offer that we cannot serve is refused and changes nothing; without an answer to ours the call cannot go on.
        """
        if not self._ringing.waiting or not self._is_acknowledged_by(request):
            raise PeerError(481, "No provisional response waits for this PRACK.")
        late = self._negotiation.offering
        try:
            body = self._exchange(self._read(request))
        except SdpError as error:
            self._context.refuse(key, request, error.status, now)
            if late:
                self._ringing.stop()
                self._lose(EndReason.UNSUPPORTED_MEDIA)
                return
        else:
            response = request.make_response(200)
            response.set_body(body, SDP_TYPE if body else None)
            self._context.respond(key, response, now)
        self._ringing.stop()
        if self._accepted:
            self._accept_call(now)
            return
        self._context.timers.set((self.number, CallTimer.STILL_RINGING), now + STILL_RINGING_SECONDS)
        self._open_early_media()

    def _exchange(self, description: RemoteSdp | None) -> bytes:
        """Take the answer to our late offer, or answer a further offer; raises SdpError."""
        if self._negotiation.offering:
            self._negotiation.take_answer(description)
            return b""
        return self._negotiation.answer_next(description) if description else b""

    def _is_acknowledged_by(self, prack: Request) -> bool:
        match = _RACK.fullmatch(prack.header("rack") or "")
        return match is not None and (int(match[1]), int(match[2]), match[3]) == (self._rseq, self._invite.cseq.number, "INVITE")

    # Our responses.

    def _accept_call(self, now: float) -> None:
        """Send the 2xx; it describes our audio unless the reliable 180 has done so."""
        body = self._preview or (b"" if self._negotiation.complete else self._describe_first())
        self._refresh.agree(self._invite)
        self._move(CallMove.ANSWER)
        response = make_success(self._invite, self.dialog, self._refresh, body)
        self._enter_dialog(response)
        self._answer.send(self.invite_key, response, now)
        self._context.tell(CallAccepted(self.number))

    def _describe_first(self) -> bytes:
        return self._negotiation.answer_first(self._offer) if self._offer else self._negotiation.offer()

    def _enter_dialog(self, response: Response) -> None:
        """Give a response to the first INVITE our tag and the route by which the dialog's requests come (RFC 3261 section 12.1.1)."""
        for route in self._invite.headers("record-route"):
            response.append("Record-Route", route)
        if self.dialog:
            response.replace("To", str(self.dialog.local))

    def _find_problem(self) -> Problem | None:
        try:
            if self._negotiation.security is MediaSecurity.IMPOSSIBLE:
                raise SdpError(NEEDS_TLS)
            self._offer = self._read(self._invite)
            if self._offer:
                self._offer.audio()
        except PeerError as error:
            return Problem(error.status, error.reason)
        return None

    def _make_ringing(self, status: int = 180) -> Response:
        response = self._invite.make_response(status)
        self._enter_dialog(response)
        if self.dialog:
            response.append("Contact", f"<{self.dialog.contact}>")
        return response

    def _ring_on(self, now: float) -> None:
        """Say once a minute that the call rings (RFC 3261 section 13.3.1.1)."""
        if self.state is not CallState.INVITED or self._accepted:
            return
        if self._reliable:
            self._ring_reliably(b"", now)
            return
        response = self._make_ringing(183 if self._preview else 180)
        response.set_body(self._preview, SDP_TYPE if self._preview else None)
        self._context.respond(self.invite_key, response, now)
        self._context.timers.set((self.number, CallTimer.STILL_RINGING), now + STILL_RINGING_SECONDS)

    def _ring_reliably(self, body: bytes, now: float) -> None:
        """Send a 180 until its PRACK comes (RFC 3262 section 3)."""
        self._rseq += 1
        response = self._make_ringing()
        response.append("Require", RELIABLE)
        response.append("RSeq", str(self._rseq))
        response.set_body(body, SDP_TYPE if body else None)
        self._ringing.send(self.invite_key, response, now)

    def _refuse(self, status: int, now: float) -> None:
        response = self._invite.make_response(status, to_tag=self.dialog.local.tag if self.dialog else "")
        if status == UNSUPPORTED_TYPE:
            response.append(*REFUSAL_HEADERS[status])
        if self._problem is not None and self._problem.status == status == NOT_ACCEPTABLE:
            response.append("Warning", f'{OTHER_WARNING} {USER_AGENT} "{self._problem.sentence}"')
        self._context.respond(self.invite_key, response, now)
