"""Narrate what happens, as it happens, with the seconds since the start of each scene."""

from __future__ import annotations

import json
import time
from typing import TextIO

WIDTH = 110


class Narrator:
    """Writes scenes, exchanges and figures for a person to read."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began = time.monotonic()
        self._colour = out.isatty()

    def scene(self, title: str) -> None:
        """Begin a scene; its clock starts at zero."""
        self._began = time.monotonic()
        self._line("")
        self._line(self._paint("1;36", f"── {title} ".ljust(WIDTH, "─")))

    def say(self, text: str) -> None:
        """Write a sentence."""
        self._line(text)

    def event(self, kind: str, text: str) -> None:
        """Write an event that has just happened."""
        self._line(f"{time.monotonic() - self._began:8.3f}  {kind:<8} {text}")

    def at(self, seconds: float, kind: str, text: str) -> None:
        """Write an event at a known time of the scene."""
        self._line(f"{seconds:8.3f}  {kind:<8} {text}")

    def document(self, text: str) -> None:
        """Write a body, indented."""
        for line in text.splitlines():
            self._line(self._paint("2", f"          {line}"))

    def json(self, value: object) -> None:
        """Write a body as JSON."""
        self.document(json.dumps(value, indent=2, ensure_ascii=False))

    def success(self, text: str) -> None:
        """Write a step that worked."""
        self._line(self._paint("32", f"✓ {text}"))

    def failure(self, text: str) -> None:
        """Write what went wrong."""
        self._line(self._paint("31", f"✗ {text}"))

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()
