"""Announcements to the broker, from a thread of their own: while it is away, nobody waits for it.

An announcement says that something is due, and many at once are one. It only makes a delivery quicker: what is lost here, because the
broker is away, the worker finds in the database.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable

import structlog

PAUSE_SECONDS = 0.05
"""Between two announcements: those that fall into it are one."""
LAST_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Announcer:
    """The announcements of one process; `send` tells the broker, and may block or raise."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._changed = threading.Condition()
        self._is_due = False
        self._is_sending = False
        self._process: int | None = None

    def put(self) -> None:
        """Announce soon; never waits and never raises."""
        with self._changed:
            self._is_due = True
            self._changed.notify_all()
            # A process that was forked has no thread.
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._send_forever, name="announcements", daemon=True).start()
                atexit.register(self.flush)

    def flush(self, seconds: float = LAST_SECONDS) -> None:
        """Wait until all is announced, for a while."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_due and not self._is_sending, seconds)

    def _send_forever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_due)
                self._is_due, self._is_sending = False, True
            try:
                self._send()
            except Exception as error:  # noqa: BLE001  # whatever the broker's client raises, the next announcement may pass
                log.warning("broker_away", error=f"{type(error).__name__}: {error}")
            with self._changed:
                self._is_sending = False
                self._changed.notify_all()
            time.sleep(PAUSE_SECONDS)
