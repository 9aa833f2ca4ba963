"""One timer of the event loop for all that a core says is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

AGAIN_SECONDS = 1.0
"""After a call that failed and set nothing: what was due is due still."""


class Alarm:
    """A callback at the monotonic time that was set last; it gets the time of the call.

    The loop may fire a little early. The time that the callback gets is never before the one that was set, so a core
    does not find that nothing is due yet and ask for the same moment again.
    """

    def __init__(self, callback: Callable[[float], None]) -> None:
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self.when: float | None = None
        """The monotonic time of the next call, None where none is set; to be read only."""
        self._stopped = False

    def set(self, when: float | None) -> None:
        """Move the timer, or stop it where nothing is due."""
        if when == self.when:
            return
        self._cancel()
        if when is not None and not self._stopped:
            self.when = when
            delay = max(0.0, when - time.monotonic())
            self._handle = asyncio.get_running_loop().call_later(delay, self._fire, when)

    def set_no_later(self, when: float | None) -> None:
        """Move the timer only if it would come after `when`.

        For cores whose timers move with every message: a call that comes before anything is due costs less than a new timer for each
        message: the core then says again what is due.
        """
        if when is not None and (self.when is None or when < self.when):
            self.set(when)

    def stop(self) -> None:
        """Stop the timer for good: a daemon that closes its sockets may still set it, which is then ignored."""
        self._stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self.when = None

    def _fire(self, when: float) -> None:
        self._handle = self.when = None
        try:
            self._callback(max(when, time.monotonic()))
        except Exception:
            self.set_no_later(time.monotonic() + AGAIN_SECONDS)
            raise
