"""Whole numbers that somebody writes."""

from __future__ import annotations

import pytest

from voiceapps.rules.whole_numbers import KEY_DIGITS, whole_number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("999", 999)])
def test_a_number_is_read(text: str, number: int) -> None:
    assert whole_number(text, 3) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1.0", "1000", "٣", "²", "9" * 5_000])
def test_what_is_none_is_none(text: str) -> None:
    assert whole_number(text, 3) is None


def test_every_key_that_can_be_written_fits_its_column() -> None:
    assert int("9" * KEY_DIGITS) < 2**63
