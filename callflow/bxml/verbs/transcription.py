"""`<StartTranscription>` and `<StopTranscription>`: have what is said written down while it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_STREAM_NAME_LENGTH
from callflow.bxml.socket_target import read_destination, read_params, read_tracks
from callflow.bxml.webhook import Webhook

DEFAULT_LANGUAGE = "en-US"
MAX_LANGUAGES_LENGTH = 1_024


@dataclass(frozen=True, slots=True)
class StartTranscription:
    """What is to be written down; `events` hears what becomes of it."""

    name: str
    """Empty if the transcription is to be called by its id."""
    destination: str
    """A WebSocket that gets the words as they come; empty if none does."""
    stabilized: bool
    tracks: tuple[str, ...]
    languages: tuple[str, ...]
    """Which may be spoken, the likeliest first; never empty."""
    params: tuple[tuple[str, str], ...]
    """What the WebSocket is told at the beginning."""
    events: Webhook | None
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element and the parameters in it; raises BxmlError."""
        verb = cls(
            name=reader.limited("name", "", MAX_STREAM_NAME_LENGTH),
            destination=read_destination(reader),
            stabilized=reader.flag("stabilized", True),
            tracks=read_tracks(reader),
            languages=_languages(reader),
            params=read_params(reader, "CustomParam"),
            events=reader.webhook("transcriptionEvent", fallback=False),
            line=reader.line,
        )
        # Nobody here finds out which language it is.
        reader.flag("detectLanguage", False)
        reader.finish(leaf=False)
        return verb


@dataclass(frozen=True, slots=True)
class StopTranscription:
    """The end of one transcription, or of all where it names none."""

    name: str
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        name = reader.limited("name", "", MAX_STREAM_NAME_LENGTH)
        reader.finish()
        return cls(name, reader.line)


def _languages(reader: ElementReader) -> tuple[str, ...]:
    given = reader.limited("preferredLanguages", "", MAX_LANGUAGES_LENGTH).split(",")
    return tuple(language.strip() for language in given if language.strip()) or (DEFAULT_LANGUAGE,)
