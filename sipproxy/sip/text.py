"""Texts of peers on their way to people: a database, a page, a log, a webhook."""

from __future__ import annotations

import re

# Controls, and characters that change the direction of writing on a page.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text without control characters and octets that are no UTF-8: neither a database nor a terminal should get them."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub("\ufffd", _decoded(text))


def _decoded(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
