"""How long an answer may be used again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.http.freshness import MAX_SECONDS, fresh_seconds

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("cache_control", "expires", "age", "seconds"),
    [
        ("", "", "", 0),
        ("max-age=60", "", "", 60),
        ('Private, MAX-AGE="60"', "", "", 60),
        ("max-age = 60", "", "20", 40),
        ("max-age=60", "Tue, 14 Nov 2023 22:33:20 GMT", "", 60),
        ("max-age=60", "", "61", 0),
        ("max-age=60", "", "soon", 60),
        ("max-age=", "Tue, 14 Nov 2023 22:33:20 GMT", "", 0),
        ("max-age=-1", "", "", 0),
        ("max-age=99999999999999999999", "", "", MAX_SECONDS),
        ("no-cache", "Tue, 14 Nov 2023 22:33:20 GMT", "", 0),
        ("no-store, max-age=60", "", "", 0),
        ("public", "Tue, 14 Nov 2023 22:33:20 GMT", "", 1200),
        ("", "Tue, 14 Nov 2023 22:13:20 GMT", "", 0),
        ("", "0", "", 0),
        ("", "Tue, 99 Nov 2023 22:33:20 GMT", "", 0),
    ],
)
def test_freshness(cache_control: str, expires: str, age: str, seconds: float) -> None:
    assert fresh_seconds(cache_control, expires, age, NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=10))
def test_any_headers_mean_something(cache_control: str, expires: str, age: str) -> None:
    assert 0 <= fresh_seconds(cache_control, expires, age, NOW) <= MAX_SECONDS
