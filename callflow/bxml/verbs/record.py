"""`<Record>`: record the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_RECORD_SECONDS, MAX_RECORDING_NAME_LENGTH
from callflow.bxml.webhook import Webhook


@dataclass(frozen=True, slots=True)
class RecordVerb:
    """What ends a recording and who hears of it; times are in seconds, and `silence_timeout` 0 sets no limit."""

    complete: Webhook | None
    available: Webhook | None
    tag: str | None
    terminating_digits: str
    max_duration: float
    silence_timeout: float
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        reader.choice("fileFormat", "wav", ("wav",))
        _refuse_transcription(reader)
        # Only newer webhooks than ours carry the name; it is checked and has no effect.
        reader.limited("recordingName", "", MAX_RECORDING_NAME_LENGTH)
        record = cls(
            complete=reader.webhook("recordComplete"),
            available=reader.webhook("recordingAvailable", fallback=False),
            tag=reader.tag(),
            terminating_digits=reader.digits("terminatingDigits", "#"),
            max_duration=reader.number("maxDuration", 60.0, 1, MAX_RECORD_SECONDS),
            silence_timeout=reader.number("silenceTimeout", 0.0, 0, MAX_RECORD_SECONDS),
            line=reader.line,
        )
        reader.finish()
        return record


def _refuse_transcription(reader: ElementReader) -> None:
    """Accept the attributes of transcription only if they switch it off."""
    for name in ("transcribe", "detectLanguage"):
        if reader.flag(name, False):
            reader.refuse(name, "cannot be true here: recordings are not transcribed")
    reader.webhook("transcriptionAvailable", fallback=False)
