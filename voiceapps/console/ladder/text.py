"""How much of a text from strangers is drawn."""

from __future__ import annotations

MAX_LABEL = 40
"""Characters of a label as it is drawn."""


def cut(text: str, limit: int = MAX_LABEL) -> str:
    """Return at most `limit` characters of a text; the last one says that there were more."""
    return text if len(text) <= limit else f"{text[: max(limit - 1, 0)]}…"
