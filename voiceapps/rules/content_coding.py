"""The coding of a body that came compressed, though `identity` was asked for: storage serves its files as they were put there."""

from __future__ import annotations

import zlib

_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER_FORMAT = 32 + zlib.MAX_WBITS
"""Of `decompressobj`: gzip or zlib, by what the bytes begin with."""


def decompressed(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return a body without its Content-Encoding, cut at one byte over `max_bytes`; what is not so compressed stays as it is."""
    if coding.strip().lower() not in _CODINGS:
        return body
    try:
        return zlib.decompressobj(_EITHER_FORMAT).decompress(body, max_bytes + 1)
    except zlib.error:
        return body
