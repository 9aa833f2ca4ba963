"""Keep a session alive by INVITEs that change nothing, or notice that the peer does not (RFC 4028)."""

from __future__ import annotations

from callflow.sip.call_context import SDP_TYPE, CallContext, CallTimer
from callflow.sip.dialogs import Dialog
from callflow.sip.session_timer import SessionTimer, agree
from sipproxy.sip import Request
from sipproxy.sip.methods import ALLOW
from sipproxy.transactions.events import Key

RETRY_SECONDS = 1.0
"""Pause before a refresh that met another exchange is tried again."""


class SessionRefresh:
    """The session timer of one call, and our INVITE that refreshes the session."""

    def __init__(self, context: CallContext, number: int) -> None:
        self.key: Key | None = None
        """Our INVITE, while it waits for its final response."""
        self.timer: SessionTimer | None = None
        self._context = context
        self._number = number

    def agree(self, invite: Request) -> None:
        """Take the interval and the refresher from the peer's INVITE, if we use session timers."""
        if self._context.config.session_expires:
            self.timer = agree(invite, self._context.config.session_expires)

    def arm(self, now: float) -> None:
        """Set the timer by which we refresh, or by which the peer has to."""
        if self.timer:
            timer = CallTimer.REFRESH if self.timer.we_refresh else CallTimer.EXPIRE
            self._context.timers.set((self._number, timer), now + self.timer.due_after)

    def response_headers(self) -> list[tuple[str, str]]:
        """Return the headers of a 2xx that states the agreement."""
        return self.timer.headers() if self.timer else []

    def retry(self, now: float) -> None:
        """Try again soon: another exchange of offer and answer is open."""
        self._context.timers.set((self._number, CallTimer.REFRESH), now + RETRY_SECONDS)

    def send(self, dialog: Dialog, timer: SessionTimer, body: bytes, now: float) -> None:
        """Send an INVITE whose offer repeats the last description (RFC 4028 section 7.4)."""
        headers = [
            ("Contact", f"<{dialog.contact}>"),
            ("Supported", "timer"),
            ("Session-Expires", f"{timer.seconds};refresher=uac"),
            ("Allow", ALLOW),
            ("Content-Type", SDP_TYPE),
        ]
        self.key = self._context.send_in_dialog(self._number, dialog, "INVITE", now, headers=headers, body=body)
