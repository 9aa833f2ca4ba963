"""Synthesised prompts in files that are named by a hash. Everything here waits for the disk: call it in a thread."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from callflow.aio.sounds.octet_file import OctetFile
from callflow.aio.sounds.spool import has_room
from callflow.audio.octets import Octets, blocks

MAX_CACHED_PROMPTS = 5_000
MAX_CACHED_BYTES = 1024**3
"""A day and a half of speech. Beyond either, the least recently used files are deleted until a quarter of both is free."""


class PromptCache:
    """Sounds by their keys. If the directory cannot be used, prompts take longer and calls go on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._held: tuple[int, int] | None = None
        """The files in the cache and their octets, once they are counted."""

    def open(self, key: str) -> OctetFile | None:
        """Return a cached sound and mark it as used, or None."""
        path = self._path(key)
        try:
            sound = OctetFile.open(str(path))
            os.utime(path)
        except OSError:
            return None
        return sound

    def write(self, key: str, sound: Octets) -> None:
        """Cache a sound, atomically: a reader sees all of it or nothing. A disk that is nearly full gets none."""
        path = self._path(key)
        with self._lock, contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if has_room(str(path.parent), len(sound)):
                _write_whole(path, sound)
                self._count(len(sound))

    def _count(self, octets: int) -> None:
        if self._held is not None:
            self._held = self._held[0] + 1, self._held[1] + octets
        if self._held is None or self._held[0] > MAX_CACHED_PROMPTS or self._held[1] > MAX_CACHED_BYTES:
            self._held = self._make_room()

    def _make_room(self) -> tuple[int, int]:
        entries = sorted(_entries(self._directory))
        files, octets = len(entries), sum(size for _, size, _ in entries)
        if files <= MAX_CACHED_PROMPTS and octets <= MAX_CACHED_BYTES:
            return files, octets
        for _, size, path in entries:
            if files <= MAX_CACHED_PROMPTS * 3 // 4 and octets <= MAX_CACHED_BYTES * 3 // 4:
                break
            path.unlink(missing_ok=True)
            files, octets = files - 1, octets - size
        return files, octets

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}.ulaw"


def _entries(directory: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield when each sound was last used, its octets and its path."""
    for path in directory.glob("*.ulaw"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            yield status.st_mtime, status.st_size, path


def _write_whole(path: Path, sound: Octets) -> None:
    """Write a file under another name first, of which nothing is left if the disk is full; raises OSError."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.writelines(blocks(sound))
            file.flush()
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
