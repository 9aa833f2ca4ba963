"""Judge the signs of life of a call together: RTP, RTCP, answers to our requests in the dialog, and the peer's requests there.

Each of them keeps a call up. When all have been absent for the application's time, the caller is asked once; only if it does
not answer, either, the call is over. A muted caller (held, or one that announced that it sends or receives nothing) may be
silent: it is asked every five minutes instead.
"""

from __future__ import annotations

from callflow.engine.states import WATCHING, Watching, WatchMove

MUTED_SECONDS = 300.0
"""How long a muted caller may give no sign before it is asked, if the application does not allow more."""
QUESTION_SECONDS = 35.0
"""How long a question may stay open: somewhat longer than a SIP transaction, whose time-out is reported."""


class MediaWatch:
    """The watch over the signs of life of one call."""

    def __init__(self) -> None:
        self._heard_at = 0.0
        self._muted = False
        self._asked_at = 0.0
        self._seconds = 0.0
        self._state = Watching.OFF

    @property
    def asked(self) -> bool:
        """True while the caller is being asked."""
        return self._state is Watching.ASKED

    @property
    def deadline(self) -> float | None:
        """When the caller is to be asked or, while it is being asked, given up; None if nothing is watched."""
        match self._state:
            case Watching.OFF:
                return None
            case Watching.ASKED:
                return self._asked_at + QUESTION_SECONDS
            case Watching.LISTENING:
                return self._heard_at + (max(self._seconds, MUTED_SECONDS) if self._muted else self._seconds)

    def due(self, now: float) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and self.deadline <= now

    def ask(self, now: float) -> None:
        """Take note that the caller is being asked."""
        self._asked_at = now
        self._move(WatchMove.ASK)

    def heard(self, at: float) -> None:
        """Take a sign of life; one that came before the question does not answer it."""
        self._heard_at = max(self._heard_at, at)
        if self.asked and at > self._asked_at:
            self._move(WatchMove.HEAR)

    def mute(self, muted: bool, now: float) -> None:
        """Take whether the caller may be silent from now on."""
        self._muted = muted
        self.heard(now)

    def start(self, seconds: float, now: float) -> None:
        """Watch a call that was answered; `seconds` is how long it may give no sign."""
        self._heard_at = now
        self._seconds = seconds
        self._move(WatchMove.START)

    def stop(self) -> None:
        """Watch no longer: the call is over."""
        self._move(WatchMove.STOP)

    def _move(self, move: WatchMove) -> None:
        self._state = WATCHING[self._state][move]
