"""`<PlayAudio>`: play a sound file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader, url_problem


@dataclass(frozen=True, slots=True)
class PlayAudio:
    """A sound file; its URL may be relative to that of the document."""

    url: str
    username: str
    password: str
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        url = reader.text()
        username, password = reader.credentials("username", "password", url)
        reader.finish(text=True)
        if not url:
            reader.fail("needs the URL of a sound file as its text")
        problem = url_problem(url)
        if problem:
            reader.fail(f"text {problem}")
        return cls(url, username, password, reader.line)
