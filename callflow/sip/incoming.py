"""A call that arrived: the server side of its first INVITE."""

from __future__ import annotations

from callflow.sip.call import SipCall
from callflow.sip.call_context import CallContext
from callflow.sip.dialogs import Dialog
from callflow.sip.events import CallArrived, CallCancelled
from callflow.sip.sdp_answer import LocalSession, RemoteMedia, RemoteSdp, SdpError
from callflow.sip.states import CallMove, CallState
from daemonkit.address import Address
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key
from voiceapps.rules.reports import CallFacts


class IncomingCall(SipCall):
    """A call that arrived; it rings at once, and the shell answers or refuses it."""

    def __init__(self, context: CallContext, number: int, key: Key, invite: Request, source: Address) -> None:
        super().__init__(context, number, CallState.INVITED)
        self.invite_key = key
        self._invite = invite
        self._offer: RemoteSdp | None = None
        self.dialog = Dialog.of_server(invite, context.new_token(), source)

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The dialog's ID, and the Call-ID and From tag that every copy of the INVITE has, whatever its branch."""
        return *super().names, (self._invite.call_id, self._invite.from_.tag)

    def arrive(self, facts: CallFacts, now: float) -> None:
        """Report the call, and send 180 if its offer can be accepted."""
        problem = None
        try:
            if self._invite.body:
                self._offer = RemoteSdp.parse(self._invite.body)
                self._offer.audio()
        except SdpError as error:
            problem = str(error)
        else:
            self._context.respond(self.invite_key, self._make_response(180), now)
        self._context.tell(CallArrived(self.number, facts, problem))

    def answer(self, address: Address, now: float) -> None:
        """Answer with 200; we receive audio at `address`. Raises SdpError if the offer is unusable."""
        if self.state is not CallState.INVITED:
            return
        self._local = LocalSession(address, self.number)
        body, media = self._describe_media(self._local)
        self._refresh.agree(self._invite)
        self._move(CallMove.ANSWER)
        invite = self._invite.copy()
        # The answer's To carries the tag that 180 had.
        invite.replace("To", str(self.dialog.local if self.dialog else self._invite.to))
        self._send_answer(self.invite_key, invite, body, media, now)

    def cancelled(self, now: float) -> None:
        """Answer the cancelled INVITE with 487."""
        if self.state is CallState.INVITED:
            self._context.respond(self.invite_key, self._make_response(487), now)
            self._context.tell(CallCancelled(self.number))
            self._end()

    def hang_up(self, status: int, now: float) -> None:
        """Refuse the call with `status`, or send BYE if it is answered."""
        if self.state is CallState.INVITED:
            self._context.respond(self.invite_key, self._make_response(status), now)
            self._end()
        else:
            super().hang_up(status, now)

    def _describe(self, response: Response) -> None:
        if response.cseq == self._invite.cseq:
            for route in self._invite.headers("record-route"):
                response.append("Record-Route", route)
        super()._describe(response)

    def _describe_media(self, local: LocalSession) -> tuple[bytes, RemoteMedia | None]:
        return local.answer(self._offer) if self._offer else (local.offer(), None)

    def _handle_bye(self, key: Key, request: Request, now: float) -> None:
        """End the call; a caller may send BYE before the answer, too (RFC 3261 section 15)."""
        if self.state is CallState.INVITED:
            self._context.respond(key, request.make_response(200), now)
            self.cancelled(now)
        else:
            super()._handle_bye(key, request, now)

    def _make_response(self, status: int) -> Response:
        tag = self.dialog.local.tag if self.dialog else ""
        response = self._invite.make_response(status, to_tag=tag)
        if status == 180:
            self._describe_ringing(response)
        return response

    def _describe_ringing(self, response: Response) -> None:
        for route in self._invite.headers("record-route"):
            response.append("Record-Route", route)
        if self.dialog:
            response.append("Contact", f"<{self.dialog.contact}>")
