"""Ask the peer by REFER to call somebody else, and hear by its NOTIFYs what comes of that (RFC 3515).

A REFER that is accepted is a subscription, too. Each NOTIFY of it holds a piece of SIP (`message/sipfrag`, RFC 3420), whose status
line says how far the peer's own call has come. The outcome is a final status, or the end of the subscription; the first NOTIFY may
overtake the response to the REFER (RFC 6665 section 4.1.2.4), and the last one, too.

The latest REFER counts. Its NOTIFYs name it by its CSeq number, or not at all. Where an earlier one was left without an outcome, a
NOTIFY without a number belongs to that one (RFC 3515 section 2.4.6): it is refused once, which ends the earlier subscription.
"""

from __future__ import annotations

import re

from callflow.sip.call_context import FRAGMENT_TYPE, REFER_EVENT, CallContext, CallTimer
from callflow.sip.dialogs import Dialog
from callflow.sip.events import PeerAnswered, ReferOver
from callflow.sip.keepalive import GONE
from callflow.sip.states import REFERRING, ReferMove, Referring
from sipproxy.sip import PeerError, Request
from sipproxy.sip.grammar import param, parse_params
from sipproxy.transactions.events import Key
from voiceapps.rules.webhook_bodies import ReferView

OUTCOME_SECONDS = 30.0
"""How long the peer may take to tell the outcome of a REFER that it has accepted."""
_SUBSCRIBED = Referring.ASKED, Referring.ACCEPTED
"""The states in which NOTIFYs are awaited."""
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: [^\r\n]*)?(?:\r?\n|\Z)", re.IGNORECASE)


def read_fragment(notify: Request) -> int | None:
    """Return the status that a NOTIFY tells, None if its body is empty; raises PeerError 415 for other bodies and 400 for no status."""
    body = notify.body.strip()
    if not body:
        return None
    if (notify.header("content-type") or "").partition(";")[0].strip().lower() != FRAGMENT_TYPE:
        raise PeerError(415, "The body of the NOTIFY is no piece of SIP.")
    status_line = _STATUS_LINE.match(body)
    if status_line is None:
        raise PeerError(400, "The NOTIFY holds no status line.")
    return int(status_line[1])


class Referral:
    """The REFERs of one call, of which the latest counts."""

    def __init__(self, context: CallContext, number: int) -> None:
        self.key: Key | None = None
        """The latest REFER, while it waits for its final response."""
        self._asked = 0
        """What the shell calls it."""
        self._context = context
        self._cseq = ""
        """What NOTIFYs call it."""
        self._has_earlier = False
        """True if an earlier REFER was left without an outcome, of which the peer may still tell something."""
        self._notified: int | None = None
        self._number = number
        self._response: int | None = None
        self._state = Referring.IDLE

    def ask(self, dialog: Dialog, asked: int, target: str, now: float) -> None:
        """Send a REFER that names a SIP URI; an earlier one that is open counts no more."""
        self._has_earlier = self._has_earlier or self._state in _SUBSCRIBED
        self._context.timers.cancel((self._number, CallTimer.OUTCOME_MISSING))
        self._move(ReferMove.ASK)
        self._asked, self._notified, self._response = asked, None, None
        own = f"<{dialog.contact}>"
        headers = [("Contact", own), ("Refer-To", f"<{target}>"), ("Referred-By", own)]
        self.key = self._context.send_in_dialog(self._number, dialog, "REFER", now, headers=headers)
        self._cseq = str(dialog.local_cseq)

    def take(self, status: int, now: float) -> None:
        """Take the final response to our REFER, 408 if none came."""
        self.key = None
        told = self._state is Referring.TOLD
        if status not in GONE:
            self._context.tell(PeerAnswered(self._number))
        if told and status == 408:
            # It was accepted, or there would be no outcome: only the response was lost.
            self._end()
            return
        self._response = status
        if status >= 300:
            self._notified = None
        if told or status >= 300:
            self._end()
        else:
            self._move(ReferMove.ACCEPT)
            self._context.timers.set((self._number, CallTimer.OUTCOME_MISSING), now + OUTCOME_SECONDS)

    def take_notify(self, key: Key, notify: Request, now: float) -> None:
        """Answer a NOTIFY, and take what it tells.

        Raises PeerError 489 for an event that is not ours, 481 for a REFER that waits for nothing, 415 and 400 for the body.
        """
        self._check_subscription(_read_event(notify))
        status = read_fragment(notify)
        self._context.answer_request(key, notify, 200, now)
        if status is not None and status >= 200:
            self._notified = status
        elif not _ends_subscription(notify):
            return
        if self._state is Referring.ASKED:
            self._move(ReferMove.TELL)
        else:
            self._end()

    def give_up(self) -> None:
        """Report that the peer has not told the outcome in time."""
        self._has_earlier = True
        self._end()

    def _check_subscription(self, cseq: str | None) -> None:
        is_named = not self._has_earlier if cseq is None else cseq == self._cseq
        if self._state in _SUBSCRIBED and is_named:
            return
        # The peer gives up that subscription (RFC 6665 section 4.2.2).
        self._has_earlier = False
        raise PeerError(481, "No REFER of ours waits for this NOTIFY.")

    def _end(self) -> None:
        self._move(ReferMove.END)
        self._context.timers.cancel((self._number, CallTimer.OUTCOME_MISSING))
        self._context.tell(ReferOver(self._number, self._asked, ReferView(self._response, self._notified)))

    def _move(self, move: ReferMove) -> None:
        self._state = REFERRING[self._state][move]


def _read_event(notify: Request) -> str | None:
    """Return the number of the REFER that a NOTIFY belongs to, None if it names none; raises PeerError 489 for another event."""
    package, _, params = (notify.header("event") or "").partition(";")
    if package.strip().lower() != REFER_EVENT:
        raise PeerError(489, "The event is not that of a REFER.")
    return param(parse_params(params.strip()), "id")


def _ends_subscription(notify: Request) -> bool:
    return (notify.header("subscription-state") or "").partition(";")[0].strip().lower() == "terminated"
