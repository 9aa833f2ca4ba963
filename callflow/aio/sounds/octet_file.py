"""A file as octets to be played."""

from __future__ import annotations

import os
from typing import Self

import structlog

log = structlog.get_logger(__name__)


class OctetFile:
    """A file that stays open for as long as somebody holds the object, whether it still has a name or not.

    It is read where it is played, on the event loop: 20 ms are 160 octets, and the kernel reads ahead.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a file for reading, and have the kernel fetch its beginning; raises OSError."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        return cls(descriptor)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        """Return a part; a disk that fails cuts it short, for a sound must not end a call."""
        start, stop, _ = part.indices(self._size)
        try:
            return os.pread(self._descriptor, max(stop - start, 0), start)
        except OSError as error:
            log.warning("sound_unreadable", error=str(error))
            return b""

    def put(self, at: int, data: bytes | bytearray) -> None:
        """Write octets at a place, and behind the end; raises OSError."""
        view = memoryview(data)
        done = 0
        while done < len(data):
            done += os.pwrite(self._descriptor, view[done:], at + done)
        self._size = max(self._size, at + len(data))

    def cut(self, size: int) -> None:
        """Drop what is behind the first `size` octets; raises OSError."""
        os.ftruncate(self._descriptor, size)
        self._size = size
