"""`<Redirect>`: fetch the next document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.webhook import Webhook


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the next document comes from; the verbs after this one never run."""

    webhook: Webhook
    tag: str | None
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        webhook, tag = reader.webhook("redirect"), reader.tag()
        reader.finish()
        if webhook is None:
            reader.fail("needs the attribute 'redirectUrl'")
        return cls(webhook, tag, reader.line)
