"""Ask by OPTIONS in the dialog whether the peer still knows the call.

Callers behind NAT, or on a connection that they opened, are asked regularly: that keeps their way open (RFC 5626 section 3.5).
Any caller is asked once before its call ends for silence.
"""

from __future__ import annotations

from callflow.sip.call_context import CallContext, CallTimer
from callflow.sip.call_header import Reach
from callflow.sip.dialogs import Dialog
from callflow.sip.events import PeerAnswered, PeerSilent
from sipproxy.transactions.events import Key

GONE = (408, 481)
"""Responses in a dialog which say that the peer does not know it any more."""


class Keepalive:
    """The OPTIONS of one call, one at a time."""

    def __init__(self, context: CallContext, number: int) -> None:
        self.key: Key | None = None
        """Our OPTIONS, while it waits for its response."""
        self.seconds = 0.0
        """Pause between regular questions; 0 asks none."""
        self._context = context
        self._number = number
        self._reach: Reach = "direct"

    def follow(self, reach: Reach) -> None:
        """Take how the caller is reached from now on."""
        self._reach = reach

    def arm(self, now: float) -> None:
        """Set the timer of the next regular question, or stop it if the caller needs none."""
        timer = self._number, CallTimer.KEEPALIVE
        if self.seconds and self._reach != "direct":
            self._context.timers.set(timer, now + self.seconds)
        else:
            self._context.timers.cancel(timer)

    def ask(self, dialog: Dialog, now: float) -> None:
        """Ask now, unless the last question is still open."""
        if self.key is None:
            self.key = self._context.send_in_dialog(self._number, dialog, "OPTIONS", now)

    def take(self, status: int) -> None:
        """Take the final response to our question, 408 if none came, and report what it says of the peer."""
        self.key = None
        self._context.tell(PeerSilent(self._number) if status in GONE else PeerAnswered(self._number))
