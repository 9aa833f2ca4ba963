"""`<SpeakSentence>`: speak a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

from callflow.bxml.element import ElementReader
from callflow.bxml.ssml import read_speech
from callflow.bxml.voices import LOCALES, VOICES, Gender, Voice, find_locale, find_voice


@dataclass(frozen=True, slots=True)
class SpeakSentence:
    """A sentence as SSML markup without its root, and as plain text."""

    markup: str
    text: str
    voice: Voice
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        voice = _read_voice(reader)
        reader.finish(leaf=False, text=True)
        markup, text = read_speech(reader.element)
        if not text.strip():
            reader.fail("needs a text to say")
        return cls(markup.strip(), text.strip(), voice, reader.line)


def _read_voice(reader: ElementReader) -> Voice:
    name = reader.optional("voice")
    gender = cast(Gender, reader.choice("gender", "female", ("female", "male")))
    written = reader.optional("locale") or "en_US"
    if name:
        return find_voice(name) or reader.refuse("voice", f"must be one of {', '.join(VOICES)}, not {name!r}")
    locale = find_locale(written)
    if locale is None:
        reader.refuse("locale", f"must be one of {', '.join(LOCALES)}, not {written!r}")
    return Voice(locale, gender)
