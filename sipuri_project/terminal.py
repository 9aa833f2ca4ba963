"""The supervisor's own output, which nobody has to read.

A terminal that is stopped by Ctrl-S, or a pipe to a program that hangs, takes no more than some kilobytes. Whoever writes there
waits, the roles fill their pipes and wait for the supervisor, and calls stop. So a thread writes, and what it cannot is left out.
"""

from __future__ import annotations

import queue
import threading
from typing import TextIO

MAX_LINES = 10_000
LAST_SECONDS = 1.0


class Terminal:
    """Lines on their way to a stream; past `MAX_LINES` the newest are dropped and counted in one line."""

    def __init__(self, stream: TextIO) -> None:
        self._dropped = 0
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._stream = stream
        self._thread = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """Write a line soon; never waits and never raises."""
        try:
            if self._dropped:
                self._lines.put_nowait(f"({self._dropped} lines are left out: nobody read them)")
                self._dropped = 0
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Give the last lines a moment."""
        try:
            self._lines.put(None, timeout=LAST_SECONDS)
        except queue.Full:
            return
        self._thread.join(LAST_SECONDS)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except (OSError, ValueError):
                # The reader has gone for good; the lines still have to be taken.
                continue
