"""The rules of an application's media settings."""

from __future__ import annotations

import pytest

from voiceapps.rules.cidr import MAX_SOURCE_RANGES
from voiceapps.rules.media_settings import check_keepalive, check_media_sources


@pytest.mark.parametrize("seconds", [0, 10, 25, 300])
def test_a_pause_within_its_bounds_passes(seconds: int) -> None:
    check_keepalive(seconds)


@pytest.mark.parametrize("seconds", [-1, 1, 9, 301])
def test_a_pause_beyond_its_bounds_is_named(seconds: int) -> None:
    with pytest.raises(ValueError, match="10-300"):
        check_keepalive(seconds)


def test_ranges_pass() -> None:
    check_media_sources(("198.51.100.0/24", "203.0.113.9/32"))


@pytest.mark.parametrize(
    ("ranges", "rule"),
    [
        (("0.0.0.0/0",), "Too wide"),
        (("10.0.0.0/8",), "private"),
        (("203.0.113.9",), "/32"),
        (("203.0.113.0/24", "203.0.113.0/24"), "more than once"),
        (tuple(f"203.0.{n}.0/24" for n in range(MAX_SOURCE_RANGES + 1)), "At most 25"),
    ],
)
def test_a_bad_range_is_named_with_its_rule(ranges: tuple[str, ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        check_media_sources(ranges)
