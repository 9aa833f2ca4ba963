from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.content_coding import decompressed


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
