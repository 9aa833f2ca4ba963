"""Keep a session alive by INVITEs that change nothing, or notice that the peer does not (RFC 4028)."""

from __future__ import annotations

from callflow.sip.bodies import read_description
from callflow.sip.call_context import SDP_TYPE, CallContext, CallTimer
from callflow.sip.dialogs import Dialog
from callflow.sip.negotiation import Negotiation
from callflow.sip.session_timer import SessionTimer, agree, follow, too_small
from sipproxy.sip import PeerError, Request, Response
from sipproxy.sip.methods import ALLOW
from sipproxy.transactions.events import Key

RETRY_SECONDS = 1.0
"""Pause before a refresh that met another exchange is tried again."""


class SessionRefresh:
    """The session timer of one call, and our INVITE that refreshes the session."""

    def __init__(self, context: CallContext, number: int, negotiation: Negotiation) -> None:
        self.key: Key | None = None
        """Our INVITE, while it waits for its final response."""
        self.timer: SessionTimer | None = None
        self._context = context
        self._negotiation = negotiation
        self._number = number

    def check(self, request: Request) -> None:
        """Raise PeerError 422 if the peer's INVITE or UPDATE asks for an interval below the minimum (RFC 4028 section 6)."""
        if self._context.config.session_expires and too_small(request):
            raise PeerError(422, "The session interval is too small.")

    def agree(self, request: Request) -> None:
        """Take the interval and the refresher from the peer's INVITE or UPDATE, if we use session timers."""
        if self._context.config.session_expires:
            self.timer = agree(request, self._context.config.session_expires)

    def arm(self, now: float) -> None:
        """Set the timer by which we refresh, or by which the peer has to."""
        if self.timer:
            due, other = (CallTimer.REFRESH, CallTimer.EXPIRE) if self.timer.we_refresh else (CallTimer.EXPIRE, CallTimer.REFRESH)
            self._context.timers.set((self._number, due), now + self.timer.due_after)
            self._context.timers.cancel((self._number, other))

    def response_headers(self) -> list[tuple[str, str]]:
        """Return the headers of a 2xx that states the agreement."""
        return self.timer.headers() if self.timer else []

    def send(self, dialog: Dialog, now: float) -> None:
        """Send an INVITE whose offer repeats our last description (RFC 4028 section 7.4), as soon as no other exchange is open."""
        if self.timer is None or not self._negotiation.complete:
            self._retry(now)
            return
        headers = [
            ("Contact", f"<{dialog.contact}>"),
            ("Supported", "timer"),
            ("Session-Expires", f"{self.timer.seconds};refresher=uac"),
            ("Min-SE", str(self.timer.minimum)),
            ("Allow", ALLOW),
            ("Content-Type", SDP_TYPE),
        ]
        body = self._negotiation.offer_again()
        self.key = self._context.send_in_dialog(self._number, dialog, "INVITE", now, headers=headers, body=body)

    def take(self, dialog: Dialog, response: Response, now: float) -> None:
        """Take the final response to our INVITE; one that refuses it, or cannot be read, leaves dialog and media as they were."""
        self.key = None
        before = self.timer
        self.timer = follow(before, response) if before else None
        self.arm(now)
        try:
            if response.status >= 300:
                raise PeerError(response.status, response.reason)
            contact = response.contact
            self._negotiation.take_answer(read_description(response, self._negotiation.security))
        except PeerError as error:
            self._negotiation.withdraw()
            if error.status == 491 or (error.status == 422 and self.timer != before):
                self._retry(now)
        else:
            dialog.refresh_target(contact)

    def _retry(self, now: float) -> None:
        """Try again soon: another exchange of offer and answer is open, or another interval is wanted."""
        self._context.timers.set((self._number, CallTimer.REFRESH), now + RETRY_SECONDS)
