"""Text of strangers as an operator may read it."""

from __future__ import annotations

MAX_LABEL = 40
"""Characters of a label as it is drawn."""


def visible(text: str) -> str:
    """Return a text with its code in the place of each character that would not be seen or would turn others round: ⟨U+202E⟩."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else f"⟨U+{ord(character):04X}⟩" for character in text)


def cut(text: str, limit: int = MAX_LABEL) -> str:
    """Return at most `limit` characters of a text; the last one says that there were more."""
    return text if len(text) <= limit else f"{text[: max(limit - 1, 0)]}…"
