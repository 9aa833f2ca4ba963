"""`<StartRecording>`, `<PauseRecording>`, `<ResumeRecording>` and `<StopRecording>`: record the call while other verbs run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.recording import RecordingForm, Sides


@dataclass(frozen=True, slots=True)
class StartRecordingVerb:
    """The beginning of a recording that goes on until it is stopped or the call ends."""

    form: RecordingForm
    tag: str | None
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        form, sides = RecordingForm.parse(reader), Sides.SEPARATE if reader.flag("multiChannel", False) else Sides.MIXED
        verb = cls(replace(form, sides=sides), reader.tag(), reader.line)
        reader.finish()
        return verb


@dataclass(frozen=True, slots=True)
class _RecordingOrder:
    """What becomes of the recording that runs, if one does."""

    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        reader.finish()
        return cls(reader.line)


class PauseRecordingVerb(_RecordingOrder):
    """What is said from now on is left out."""


class ResumeRecordingVerb(_RecordingOrder):
    """The recording goes on."""


class StopRecordingVerb(_RecordingOrder):
    """The end of the recording."""
