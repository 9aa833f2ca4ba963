"""The coding of a body that came compressed, though `identity` was asked for: storage serves its files as they were put there."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER_FORMAT = 32 + zlib.MAX_WBITS
"""Of `decompressobj`: gzip or zlib, by what the bytes begin with."""
_PART_BYTES = 64 * 1024


def is_compressed(coding: str) -> bool:
    """Return whether a Content-Encoding names what we can undo."""
    return coding.strip().lower() in _CODINGS


def decompressed_parts(parts: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield a compressed body part by part, ending at one byte over `max_bytes`; raises ValueError for what is not compressed."""
    machine, left = zlib.decompressobj(_EITHER_FORMAT), max_bytes + 1
    try:
        for part in parts:
            is_full = False
            # What fills its part may have more behind it, though all input is consumed.
            while (part or is_full) and left and not machine.eof:
                most = min(left, _PART_BYTES)
                plain = machine.decompress(part, most)
                part, is_full, left = machine.unconsumed_tail, len(plain) == most, left - len(plain)
                yield plain
    except zlib.error as error:
        raise ValueError("It is not compressed as it says.") from error


def decompressed(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return a body without its Content-Encoding, cut at one byte over `max_bytes`; what is not so compressed stays as it is."""
    if not is_compressed(coding):
        return body
    try:
        return b"".join(decompressed_parts([body], max_bytes))
    except ValueError:
        return body
