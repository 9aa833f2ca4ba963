"""`<Record>`: record the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_RECORD_SECONDS
from callflow.bxml.recording import RecordingForm
from callflow.bxml.webhook import Webhook


@dataclass(frozen=True, slots=True)
class RecordVerb:
    """What ends a recording and who hears of it; times are in seconds, and `silence_timeout` 0 sets no limit."""

    complete: Webhook | None
    form: RecordingForm
    tag: str | None
    terminating_digits: str
    max_duration: float
    silence_timeout: float
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        record = cls(
            complete=reader.webhook("recordComplete"),
            form=RecordingForm.parse(reader),
            tag=reader.tag(),
            terminating_digits=reader.digits("terminatingDigits", "#"),
            max_duration=reader.number("maxDuration", 60.0, 1, MAX_RECORD_SECONDS),
            silence_timeout=reader.number("silenceTimeout", 0.0, 0, MAX_RECORD_SECONDS),
            line=reader.line,
        )
        reader.finish()
        return record
