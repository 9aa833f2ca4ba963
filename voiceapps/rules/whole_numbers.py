"""Whole numbers that somebody writes into a link, a field or a header."""

from __future__ import annotations

KEY_DIGITS = 18
"""Of the key of a row: 64 bits hold every number of so many."""
VERSION_DIGITS = 9
"""Of a row's version, which 32 bits hold."""


def whole_number(text: str, digits: int) -> int | None:
    """Return the number that a text of at most so many digits names; None for a text that names none."""
    return int(text) if is_digits(text) and len(text) <= digits else None


def is_digits(text: str) -> bool:
    """Return whether a text is a row of the digits 0 to 9."""
    return text.isascii() and text.isdecimal()
