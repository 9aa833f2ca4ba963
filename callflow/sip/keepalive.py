"""Ask by OPTIONS in the dialog whether the peer still knows the call."""

from __future__ import annotations

from callflow.sip.call_context import CallContext, CallTimer
from callflow.sip.dialogs import Dialog
from sipproxy.transactions.events import Key


class Keepalive:
    """The OPTIONS of one call, one at a time."""

    def __init__(self, context: CallContext, number: int) -> None:
        self.key: Key | None = None
        """Our OPTIONS, while it waits for its response."""
        self._context = context
        self._number = number

    def arm(self, now: float) -> None:
        """Set the timer of the next OPTIONS, if the configuration asks for them."""
        seconds = self._context.config.keepalive_seconds
        if seconds:
            self._context.timers.set((self._number, CallTimer.KEEPALIVE), now + seconds)

    def send(self, dialog: Dialog, now: float) -> None:
        """Ask, unless the last question is still open, and set the next timer."""
        if self.key is None:
            self.key = self._context.send_in_dialog(self._number, dialog, "OPTIONS", now)
        self.arm(now)
