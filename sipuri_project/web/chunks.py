"""The chunked transfer coding (RFC 9112 section 7.1), decoded piece by piece."""

from __future__ import annotations

import re
from collections.abc import Callable

from sipuri_project.web.limits import MAX_CHUNK_LINE, MAX_TRAILERS

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*")


class BadChunkError(ValueError):
    """A body that is not in chunks."""


class ChunkedBody:
    """A body in chunks, of at most `most` octets; extensions and trailers are read over."""

    def __init__(self, most: int) -> None:
        self.content = bytearray()
        self.is_complete = False
        self.is_too_large = False
        """Whether the chunks, as their sizes say, are more than `most`: the rest is not read."""
        self._most = most
        self._left = 0
        """Octets of the present chunk that are missing."""
        self._trailers = 0
        """Octets of trailers so far."""
        self._step: Callable[[bytearray], bool] = self._take_size

    def take(self, waiting: bytearray) -> None:
        """Move what belongs to the body out of `waiting`; raises BadChunkError."""
        while not self.is_complete and not self.is_too_large and self._step(waiting):
            pass

    def _take_size(self, waiting: bytearray) -> bool:
        line = _line_of(waiting)
        if line is None:
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            raise BadChunkError("a chunk has no size")
        self._left = int(size[1], 16)
        self.is_too_large = len(self.content) + self._left > self._most
        self._step = self._take_content if self._left else self._take_trailer
        return True

    def _take_content(self, waiting: bytearray) -> bool:
        taken = waiting[: self._left]
        del waiting[: self._left]
        self.content += taken
        self._left -= len(taken)
        if self._left:
            return False
        self._step = self._take_break
        return True

    def _take_break(self, waiting: bytearray) -> bool:
        if len(waiting) < 2:
            return False
        if not waiting.startswith(b"\r\n"):
            raise BadChunkError("a chunk does not end where its size says")
        del waiting[:2]
        self._step = self._take_size
        return True

    def _take_trailer(self, waiting: bytearray) -> bool:
        line = _line_of(waiting)
        if line is None:
            return False
        self._trailers += len(line) + 2
        self.is_complete = not line
        if line and (self._trailers > MAX_TRAILERS or not _TRAILER.fullmatch(line)):
            raise BadChunkError("what follows the chunks are no fields")
        return True


def _line_of(waiting: bytearray) -> bytes | None:
    """Take one line; None if it has not ended yet. Raises BadChunkError."""
    end = waiting.find(b"\r\n", 0, MAX_CHUNK_LINE + 2)
    if end < 0:
        if len(waiting) > MAX_CHUNK_LINE:
            raise BadChunkError("a line has no end")
        return None
    line = bytes(waiting[:end])
    del waiting[: end + 2]
    return line
