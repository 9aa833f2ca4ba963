"""Text from strangers, as a person may look at it: nothing in it acts on what is around it, and nothing hides."""

from __future__ import annotations

import unicodedata

_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""The categories of characters that are not seen, or turn what follows around."""
_KEPT = "\n\t"


def visible(text: str) -> str:
    """Return a text whose control and direction characters are shown by their numbers, as in `⟨U+202E⟩`; line ends stay."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def visible_line(text: str) -> str:
    """Return the same for a text that has one line: an end of it is shown by its number, too."""
    return text if text.isascii() and text.isprintable() else "".join(_shown(character, kept="") for character in text)


def _shown(character: str, kept: str = _KEPT) -> str:
    acts = character not in kept and unicodedata.category(character) in _ACTING
    return f"⟨U+{ord(character):04X}⟩" if acts else character
