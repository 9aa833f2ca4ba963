"""Lines that outlive their process: a file from which they are read, and dropped when nobody needs them any more.

A line is in the kernel's hands when `append` returns, so a process that is killed loses none of them. `sync` brings them to the
disk, for the machine that loses its power. What was dropped may come again in the next life of its owner, as the file is not touched
for each line. The process that owns a journal holds a lock on it: another one can tell whether its owner still lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

UNFINISHED = ".new"
"""How the name of a smaller file ends until it takes the journal's place; whoever is killed before that leaves it."""
MAX_JOURNAL_BYTES = 256 * 1024 * 1024
_READ_BYTES = 512 * 1024
_SLACK_BYTES = 1024 * 1024  # that were read and need not be dropped at once
_MAX_COPIED = 4 * 1024 * 1024  # at once, on the event loop; where more is left the file shrinks later


class JournalFullError(Exception):
    """The journal has reached its size."""


class Journal:
    """A file of lines: new ones at its end, the oldest ones taken from its beginning."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._taken = 0
        self._size = os.fstat(descriptor).st_size
        self._is_synced = True

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open a file, or make it; returns None where a process that lives owns it. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, line: bytes) -> None:
        """Add a line, its end included, whole or not at all; raises JournalFullError, OSError."""
        if self._size - self._taken + len(line) > MAX_JOURNAL_BYTES:
            raise JournalFullError(f"{self._path} has reached its {MAX_JOURNAL_BYTES} octets.")
        written = 0
        try:
            written = os.write(self._descriptor, line)
        finally:
            if 0 < written < len(line):
                os.ftruncate(self._descriptor, self._size)
        if written < len(line):
            raise OSError(f"{self._path} took {written} of {len(line)} octets.")
        self._size += written
        self._is_synced = False

    def peek(self, most: int) -> list[bytes]:
        """Return the oldest lines, at most `most`; a last line without an end was never written whole. Raises OSError."""
        lines: list[bytes] = []
        data = b""
        position = self._taken
        while len(lines) <= most and (more := os.pread(self._descriptor, _READ_BYTES, position)):
            position += len(more)
            data += more
            lines = data.splitlines(keepends=True)
        return [line for line in lines[:most] if line.endswith(b"\n")]

    def drop(self, octets: int) -> None:
        """Drop what was read from the beginning; the file shrinks now and then."""
        self._taken += octets
        left = self._size - self._taken
        if self._taken <= max(_SLACK_BYTES, left) or (left > _MAX_COPIED and self._size < 2 * MAX_JOURNAL_BYTES):
            return
        if self.is_empty:
            os.ftruncate(self._descriptor, 0)
            self._taken = self._size = 0
        else:
            with contextlib.suppress(OSError):  # Where there is no room for a new file now, there will be later.
                self._shrink()

    def sync(self) -> None:
        """Bring what was added to the disk; it may take as long as the disk does. Raises OSError."""
        if not self._is_synced:
            self._is_synced = True
            os.fdatasync(self._descriptor)

    @property
    def is_empty(self) -> bool:
        """True if there is no line left."""
        return self._taken >= self._size

    def remove(self) -> None:
        """Delete the file and give up the lock."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Give up the lock; the file stays."""
        os.close(self._descriptor)

    def _shrink(self) -> None:
        """Go on in a new file that holds what is left: less than was read since the last time."""
        made = self._path.with_suffix(UNFINISHED)
        made.unlink(missing_ok=True)
        fresh = Journal.open(made)
        assert fresh is not None  # noqa: S101  # nobody else makes a file of this name
        try:
            fresh.append(os.pread(self._descriptor, self._size - self._taken, self._taken))
            fresh.sync()
            made.rename(self._path)
        except OSError:
            fresh.remove()
            raise
        os.close(self._descriptor)
        self._descriptor, self._taken, self._size = fresh._descriptor, 0, fresh._size
