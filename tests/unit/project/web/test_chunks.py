"""Bodies in chunks, whole, broken and too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipuri_project.web.chunks import BadChunkError, ChunkedBody
from sipuri_project.web.limits import MAX_CHUNK_LINE, MAX_TRAILERS


def decoded(*pieces: bytes, most: int = 100) -> tuple[bytes | None, bytes]:
    """Return the body, None if it is not complete, and what follows it."""
    body, waiting = ChunkedBody(most), bytearray()
    for piece in pieces:
        waiting += piece
        body.take(waiting)
    return bytes(body.content) if body.is_complete else None, bytes(waiting)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=3), st.integers(1, 7))
def test_what_was_sent_arrives_however_it_is_cut(chunks: list[bytes], width: int) -> None:
    wire = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\nNEXT"
    pieces = [wire[start : start + width] for start in range(0, len(wire), width)]
    assert decoded(*pieces) == (b"".join(chunks), b"NEXT")


@pytest.mark.parametrize(
    "wire",
    [
        b"3;name=value\r\nabc\r\n0\r\n\r\n",
        b'3 \t;quoted="a b"\r\nabc\r\n0\r\n\r\n',
        b"003\r\nabc\r\n0\r\nTrailer: 1\r\nOther:\r\n\r\n",
    ],
)
def test_extensions_and_trailers_are_read_over(wire: bytes) -> None:
    assert decoded(wire) == (b"abc", b"")


@pytest.mark.parametrize("missing", range(1, 18))
def test_a_body_that_is_cut_off_is_not_complete(missing: int) -> None:
    wire = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert decoded(wire[:-missing])[0] is None


@pytest.mark.parametrize(
    "wire",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3_0\r\n",
        b" 3\r\nabc\r\n",
        b"123456789\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n0\n\n",
        b"3\nabc\r\n",
        b"0\r\nno field\r\n\r\n",
        b"0\r\nA: b\nc\r\n\r\n",
        b"1;" + b"x" * MAX_CHUNK_LINE,
        b"0\r\n" + b"A: b\r\n" * (MAX_TRAILERS // 6 + 1),
    ],
)
def test_what_is_not_in_chunks_is_refused(wire: bytes) -> None:
    with pytest.raises(BadChunkError):
        decoded(wire)


def test_a_chunk_over_the_cap_is_known_by_its_size_alone() -> None:
    body = ChunkedBody(100)
    body.take(bytearray(b"63\r\n" + b"a" * 99 + b"\r\n1\r\n"))
    assert not body.is_too_large
    body = ChunkedBody(100)
    body.take(bytearray(b"63\r\n" + b"a" * 99 + b"\r\n2\r\n"))
    assert body.is_too_large
    body = ChunkedBody(100)
    body.take(bytearray(b"FFFFFFFF\r\n"))
    assert (body.is_too_large, len(body.content)) == (True, 0)
