"""`<Tag>`: change the call's tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_TAG_LENGTH


@dataclass(frozen=True, slots=True)
class Tag:
    """The text that later webhooks carry; an empty one clears it."""

    text: str
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        text = reader.text()
        reader.finish(text=True)
        if len(text) > MAX_TAG_LENGTH:
            reader.fail(f"text is longer than {MAX_TAG_LENGTH} characters")
        return cls(text, reader.line)
