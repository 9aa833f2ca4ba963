"""Announcements to the broker, from a thread of their own: while it is away, nobody waits for it.

An announcement only makes a delivery quicker. What is lost here, because the broker is away or too many wait, the sweeper finds in
the database.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable

import structlog

MAX_ANNOUNCEMENTS = 5_000
LAST_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Announcer:
    """The announcements of one process; `send` tells one to the broker, and may block or raise."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._waiting: queue.Queue[str] = queue.Queue(MAX_ANNOUNCEMENTS)
        self._lock = threading.Lock()
        self._process: int | None = None

    def put(self, announcement: str) -> None:
        """Queue an announcement; never waits and never raises."""
        try:
            self._waiting.put_nowait(announcement)
        except queue.Full:
            return
        with self._lock:
            # A process that was forked has the queue, but not the thread.
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._send_forever, name="announcements", daemon=True).start()
                atexit.register(self.flush)

    def flush(self, seconds: float = LAST_SECONDS) -> None:
        """Wait until all is sent, for a while."""
        with self._waiting.all_tasks_done:
            self._waiting.all_tasks_done.wait_for(lambda: not self._waiting.unfinished_tasks, seconds)

    def _send_forever(self) -> None:
        while True:
            announcement = self._waiting.get()
            try:
                self._send(announcement)
            except Exception as error:  # noqa: BLE001  # whatever the broker's client raises, the next announcement may pass
                log.warning("broker_away", error=str(error), dropped=1 + self._drop_waiting())
            finally:
                self._waiting.task_done()

    def _drop_waiting(self) -> int:
        """Drop what waits, and return its number: each would block as long as the one that failed."""
        dropped = 0
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                return dropped
            self._waiting.task_done()
            dropped += 1
