"""`<SpeakSentence>`: speak a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_VOICE_NAME_LENGTH
from callflow.bxml.ssml import read_speech
from callflow.bxml.voices import DEFAULT_LOCALE, Choice, Gender, Voice, choose_voice


@dataclass(frozen=True, slots=True)
class SpeakSentence:
    """A sentence as SSML markup without its root, and as plain text."""

    markup: str
    text: str
    voice: Voice
    note: str
    """One sentence if the voice is not the one that was asked for, else empty."""
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        choice = _read_voice(reader)
        reader.finish(leaf=False, text=True)
        markup, text = read_speech(reader.element)
        if not text.strip():
            reader.fail("needs a text to say")
        return cls(markup.strip(), text.strip(), choice.voice, choice.note, reader.line)


def _read_voice(reader: ElementReader) -> Choice:
    name = reader.limited("voice", "", MAX_VOICE_NAME_LENGTH)
    gender = cast(Gender, reader.choice("gender", "female", ("female", "male")))
    return choose_voice(name, reader.limited("locale", "", MAX_VOICE_NAME_LENGTH) or DEFAULT_LOCALE, gender)
