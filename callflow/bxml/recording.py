"""What verbs that record say of the file, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal, Self, cast

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_RECORDING_NAME_LENGTH
from callflow.bxml.webhook import Webhook

FileFormat = Literal["wav", "mp3"]
FILE_FORMATS: tuple[FileFormat, ...] = ("wav", "mp3")


class Sides(Enum):
    """What of a call is recorded; the value is the number of channels and a word."""

    CALLER = 1, "caller"
    MIXED = 1, "mixed"
    SEPARATE = 2, "separate"
    """The caller in the first channel, what the caller hears in the second."""

    @property
    def channels(self) -> int:
        """The channels of the file."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class RecordingForm:
    """A recording's file, and the webhook that hears when it is complete."""

    available: Webhook | None = None
    file_format: FileFormat = "wav"
    sides: Sides = Sides.CALLER
    name: str = ""
    transcribe: bool = False
    """Whether what is said is to be written down."""
    transcript: Webhook | None = None
    """Hears what came of that; the API shows it, too."""

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the attributes that all such verbs have; raises BxmlError."""
        transcribe, transcript = reader.flag("transcribe", False), reader.webhook("transcriptionAvailable", fallback=False)
        reader.flag("detectLanguage", False)
        return cls(
            transcribe=transcribe,
            transcript=transcript if transcribe else None,
            available=reader.webhook("recordingAvailable", fallback=False),
            file_format=cast(FileFormat, reader.choice("fileFormat", "wav", FILE_FORMATS)),
            name=reader.limited("recordingName", "", MAX_RECORDING_NAME_LENGTH),
        )

    def absolute(self, absolute: Callable[[Webhook], Webhook]) -> Self:
        """Return the form with absolute URLs."""
        available, transcript = self.available and absolute(self.available), self.transcript and absolute(self.transcript)
        return replace(self, available=available, transcript=transcript)
