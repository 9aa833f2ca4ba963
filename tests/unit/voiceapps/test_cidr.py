from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.cidr import REFUSED_RANGES, contains, parse_address, parse_range


@given(st.text())
def test_any_text_is_a_range_or_a_value_error(text: str) -> None:
    try:
        network = parse_range(text)
    except ValueError as error:
        assert str(error).endswith((".", f"{text}/32."))
    else:
        assert str(network) == text


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_an_accepted_range_overlaps_no_refused_one(address: int, prefix: int) -> None:
    network = IPv4Network((address, prefix), strict=False)
    accepted = True
    try:
        parse_range(str(network))
    except ValueError:
        accepted = False
    special = any(network.overlaps(refused) for refused, _ in REFUSED_RANGES)
    assert accepted == (not special or str(network) == "0.0.0.0/0")


@pytest.mark.parametrize("text", ["1.2.3.4/33", "1.2.3.4/-1", "256.1.1.1/32", "1.2.3/24", "1.2.3.4/032", "٣.2.3.4/32"])
def test_near_misses_of_a_range_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\."):
        parse_range(text)


def test_contains() -> None:
    assert contains(["203.0.113.0/24"], "203.0.113.9")
    assert not contains(["203.0.113.0/24"], "203.0.114.9")
    assert contains(["0.0.0.0/0"], "10.1.2.3")


@given(st.ip_addresses(v=4).map(str))
def test_every_dotted_address_is_accepted_unchanged(text: str) -> None:
    assert parse_address(text) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("::1", "IPv6"),
        ("203.0.113.9/32", "prefix"),
        ("203.0.113.09", "Leading zeros"),
        ("203.0.113.256", "Not an IPv4 address"),
        ("203.0.113", "Not an IPv4 address"),
        (" 203.0.113.9", "Not an IPv4 address"),
        ("203.0.113.9\n", "Not an IPv4 address"),
        ("٢٠٣.0.113.9", "Not an IPv4 address"),
        ("", "Not an IPv4 address"),
    ],
)
def test_an_invalid_address_says_why(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_address(text)
