"""`<StartGather>` and `<StopGather>`: report each digit while other verbs run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.webhook import Webhook


@dataclass(frozen=True, slots=True)
class StartGather:
    """Who hears of each digit from now on."""

    webhook: Webhook
    tag: str | None
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        webhook, tag = reader.webhook("dtmf", fallback=False), reader.tag()
        reader.finish()
        if webhook is None:
            reader.fail("needs the attribute 'dtmfUrl'")
        return cls(webhook, tag, reader.line)


@dataclass(frozen=True, slots=True)
class StopGather:
    """The end of the reports."""

    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        reader.finish()
        return cls(reader.line)
