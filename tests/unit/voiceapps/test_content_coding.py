from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.http.content_coding import decompressed, decompressed_parts


@given(st.binary(max_size=200))
def test_what_was_compressed_comes_back(body: bytes) -> None:
    assert decompressed(gzip.compress(body), "gzip", 200) == body
    assert decompressed(zlib.compress(body), " Deflate", 200) == body


@pytest.mark.parametrize("coding", ["", "identity", "br", "gzip, gzip"])
def test_any_other_coding_is_left_alone(coding: str) -> None:
    body = gzip.compress(b"a")
    assert decompressed(body, coding, 200) == body


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(body: bytes) -> None:
    assert len(decompressed(body, "gzip", 300)) <= 301


def test_a_bomb_is_cut() -> None:
    assert len(decompressed(gzip.compress(bytes(10_000_000)), "gzip", 1000)) == 1001


@given(st.binary(max_size=2_000), st.integers(1, 300), st.integers(0, 300_000))
def test_a_body_may_come_in_parts_of_any_size(body: bytes, size: int, zeros: int) -> None:
    whole = body + bytes(zeros)
    packed = gzip.compress(whole)
    parts = [packed[at : at + size] for at in range(0, len(packed), size)]
    plain = list(decompressed_parts(parts, 150_000))
    assert b"".join(plain) == whole[:150_001]
    assert max(map(len, plain), default=0) <= 64 * 1024


def test_parts_that_are_not_compressed_are_told_apart() -> None:
    with pytest.raises(ValueError, match="It is not compressed as it says."):
        list(decompressed_parts([b"RIFF", b"more"], 100))
