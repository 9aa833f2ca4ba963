"""Octets that wait to be played: short sounds in memory, the others in nameless files.

Sounds are as long as their owners like, and hundreds of calls play at once. So a process holds `MAX_MEMORY` octets of sounds at
most; what is longer than `MAX_MEMORY_EACH`, or comes when that is taken, lies on the disk, where a call reads what it sends next.
The files have no names: whatever becomes of the process, nothing is left of them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from callflow.aio.sounds.budget import Budget
from callflow.aio.sounds.octet_file import OctetFile

MAX_MEMORY_EACH = 512 * 1024
"""The longest sound in memory: a minute of G.711."""
MAX_MEMORY = 64 * 1024 * 1024
MAX_DISK = 16 * 1024**3
"""500 calls with the longest file each."""
MIN_DISK_FREE = 1024**3
"""What sounds leave to the database and the journals, which may share the disk; of a small one a tenth."""


class NoRoomError(Exception):
    """There is no room for a sound; the text says why in one sentence."""


def has_room(directory: str, octets: int) -> bool:
    """Return whether a disk takes some octets and leaves what others need; raises OSError."""
    disk = os.statvfs(directory)
    spare = min(MIN_DISK_FREE, disk.f_blocks * disk.f_frsize // 10)
    return disk.f_bavail * disk.f_frsize - octets >= spare


class Spool:
    """The room for the sounds of one process; `directory` lies on the disk that is used."""

    def __init__(self, directory: str) -> None:
        self.memory = Budget(MAX_MEMORY)
        self.disk = Budget(MAX_DISK)
        self._directory = directory

    def new(self) -> Spooled:
        """Return a place for one sound."""
        return Spooled(self)

    def open_file(self) -> OctetFile:
        """Return an empty nameless file; raises OSError."""
        with tempfile.TemporaryFile(dir=self._directory, buffering=0) as file:
            return OctetFile(os.dup(file.fileno()))

    def take_disk(self, octets: int) -> None:
        """Take room on the disk; raises NoRoomError, OSError."""
        if not has_room(self._directory, octets):
            raise NoRoomError("There is no room for sounds: the disk is nearly full.")
        if not self.disk.take(octets):
            raise NoRoomError(f"There is no room for sounds: those of other calls take {MAX_DISK} octets.")


class Spooled:
    """One sound in a spool. Its room is free again when nobody holds the object any more."""

    def __init__(self, spool: Spool) -> None:
        self._file: OctetFile | None = None
        self._memory = bytearray()
        self._spool = spool

    def __del__(self) -> None:
        self._spool.memory.give_back(len(self._memory))
        if self._file is not None:
            self._spool.disk.give_back(len(self._file))

    def __len__(self) -> int:
        return len(self._memory if self._file is None else self._file)

    def __getitem__(self, part: slice) -> bytes:
        return bytes(self._memory[part]) if self._file is None else self._file[part]

    def remember(self, data: bytes) -> bool:
        """Append octets and return True, or return False where only the disk has room for them."""
        if self._file is not None or len(self) + len(data) > MAX_MEMORY_EACH or not self._spool.memory.take(len(data)):
            return False
        self._memory += data
        return True

    def append(self, data: bytes) -> None:
        """Append octets; raises NoRoomError. It may wait for the disk: call it in a thread."""
        if self.remember(data):
            return
        with _as_no_room():
            if self._file is None:
                file = self._spool.open_file()
                self._append_to(file, self._memory)
                self._spool.memory.give_back(len(self._memory))
                self._file, self._memory = file, bytearray()
            self._append_to(self._file, data)

    def put(self, at: int, data: bytes) -> None:
        """Write over octets that are there; raises NoRoomError."""
        if self._file is None:
            self._memory[at : at + len(data)] = data
            return
        with _as_no_room():
            self._file.put(at, data)

    def cut(self, size: int) -> None:
        """Drop what is behind the first `size` octets."""
        dropped = len(self) - size
        if self._file is None:
            del self._memory[size:]
            self._spool.memory.give_back(dropped)
        else:
            self._file.cut(size)
            self._spool.disk.give_back(dropped)

    def _append_to(self, file: OctetFile, data: bytes | bytearray) -> None:
        self._spool.take_disk(len(data))
        try:
            file.put(len(file), data)
        except OSError:
            self._spool.disk.give_back(len(data))
            raise


@contextmanager
def _as_no_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoRoomError(f"There is no room for sounds: {error.strerror}.") from error
