"""What a thread writes, kept for the event loop: no thread waits for a client."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from typing import IO, Protocol

from sipuri_project.web.limits import MAX_IN_MEMORY


class HasFileNumber(Protocol):
    """What gunicorn hands over as a file."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


@dataclass(slots=True)
class FilePart:
    """So many octets of a file, from `offset`."""

    file: IO[bytes]
    offset: int
    count: int


@dataclass(slots=True)
class Reply:
    """An answer as its octets in order; to gunicorn it looks like the client's socket.

    Up to `MAX_IN_MEMORY` octets stay in memory, the rest lies in a nameless file in
    `directory`. Files that are answered are never copied.
    """

    directory: str | None = None
    parts: list[bytearray | FilePart] = field(default_factory=list)
    is_last: bool = True
    """Whether the connection ends with it."""
    _in_memory: int = 0
    _spool: IO[bytes] | None = None

    def sendall(self, data: bytes) -> None:
        """Keep the next octets; raises OSError if the disk takes no more."""
        if self._in_memory + len(data) > MAX_IN_MEMORY:
            self._keep_on_disk(data)
        elif self.parts and isinstance(self.parts[-1], bytearray):
            self.parts[-1] += data
        else:
            self.parts.append(bytearray(data))
        self._in_memory = min(self._in_memory + len(data), MAX_IN_MEMORY)

    def send(self, data: bytes) -> int:
        """Drop what gunicorn would send at once, a 100 (Continue): the whole request is here."""
        return len(data)

    def sendfile(self, file: HasFileNumber, offset: int = 0, count: int = 0) -> int:
        """Keep so many octets of a file, which the caller may close."""
        self.parts.append(FilePart(os.fdopen(os.dup(file.fileno()), "rb", buffering=0), offset, count))
        return count

    def gettimeout(self) -> float:
        """Return that it never waits."""
        return 0.0

    def close(self) -> None:
        """Close its files."""
        for part in self.parts:
            if isinstance(part, FilePart):
                part.file.close()

    def _keep_on_disk(self, data: bytes) -> None:
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(buffering=0, dir=self.directory)  # noqa: SIM115  # it lives as long as the answer
        offset = self._spool.seek(0, os.SEEK_END)
        last = self.parts[-1] if self.parts else None
        if isinstance(last, FilePart) and last.file is self._spool:
            last.count += len(data)
        else:
            self.parts.append(FilePart(self._spool, offset, len(data)))
        left = memoryview(data)
        while left:
            left = left[self._spool.write(left) :]
