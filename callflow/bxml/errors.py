"""The one error of BXML documents."""

from __future__ import annotations


class BxmlError(ValueError):
    """A document that breaks a rule: one sentence that names element, attribute and rule, and the line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"Line {line}: {message}")
        self.message = message
        self.line = line
