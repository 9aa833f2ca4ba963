"""`<SendDtmf>`: send digits to the far end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_SENT_DIGITS, MAX_TONE_MS, MIN_TONE_MS

_DIGITS = re.compile(r"[0-9A-Da-d*#,wW]+")


@dataclass(frozen=True, slots=True)
class SendDtmf:
    """Digits and pauses (`,` and `w` half a second, `W` one), and the milliseconds of each tone and of the silence after it."""

    digits: str
    tone_duration: float
    tone_interval: float
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        digits = reader.text()
        duration = reader.number("toneDuration", 200.0, MIN_TONE_MS, MAX_TONE_MS)
        interval = reader.number("toneInterval", 400.0, MIN_TONE_MS, MAX_TONE_MS)
        reader.finish(text=True)
        if not digits:
            reader.fail("needs the digits to send as its text")
        if len(digits) > MAX_SENT_DIGITS:
            reader.fail(f"can send at most {MAX_SENT_DIGITS} characters")
        if not _DIGITS.fullmatch(digits):
            reader.fail(f"may hold only 0-9, A-D, *, #, and the pauses ',', 'w' and 'W', not {digits!r}")
        return cls(digits, duration, interval, reader.line)
