"""Output that nobody has to read.

A terminal that is stopped by Ctrl-S, or a pipe to a program that hangs, takes no more than some kilobytes. Whoever writes there
waits, and calls stop: with a daemon's log, or with the supervisor, as the roles fill their pipes to it. So a thread writes, and
what it cannot is left out.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from contextlib import suppress

STDERR = 2
MAX_WAITING = 4 * 1024 * 1024
LAST_SECONDS = 1.0
_WRITTEN_AT_ONCE = select.PIPE_BUF
"""What the kernel writes to a pipe in one piece: workers share one, and their lines must not mix."""


class Terminal:
    """Lines on their way to a descriptor; past `MAX_WAITING` octets the newest are dropped and counted in one line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begin()

    def _begin(self) -> None:
        """Begin anew; after a fork, too: the thread did not come along, and what waits is the parent's to write."""
        self._changed = threading.Condition()
        self._dropped = 0
        self._lines: deque[bytes] = deque()
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        self._waiting = 0

    def say(self, line: str) -> None:
        """Write a line soon; never waits and never raises."""
        if self._process != os.getpid():
            self._begin()
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_forever, name="terminal", daemon=True)
                self._thread.start()
            word = f"({self._dropped} lines are left out: nobody read them)\n" if self._dropped else ""
            self._dropped = 0 if self._put(word + line) else self._dropped + 1

    def flush(self) -> None:
        """Wait a moment for the last lines to be written."""
        if self._process == os.getpid():
            with self._changed:
                self._changed.wait_for(lambda: not self._waiting, LAST_SECONDS)

    def _put(self, line: str) -> bool:
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        fits = self._waiting + len(data) <= MAX_WAITING
        if fits:
            self._lines.append(data)
            self._waiting += len(data)
            self._changed.notify_all()
        return fits

    # In the thread.

    def _write_forever(self) -> None:
        while True:
            data = self._next()
            # The reader may have gone for good; the lines still have to be taken.
            with suppress(OSError):
                self._write(data)
            with self._changed:
                self._waiting -= len(data)
                self._changed.notify_all()

    def _next(self) -> bytes:
        """Wait for lines and return some, whole."""
        data = bytearray()
        with self._changed:
            self._changed.wait_for(lambda: self._lines)
            while self._lines and (not data or len(data) + len(self._lines[0]) <= _WRITTEN_AT_ONCE):
                data += self._lines.popleft()
        return bytes(data)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Whoever shares a terminal with us may have made it non-blocking.
                room = select.poll()
                room.register(self._descriptor, select.POLLOUT)
                room.poll()
