"""Say what is wrong with a document, and where."""

from __future__ import annotations


class BxmlError(ValueError):
    """Carry one sentence that names element, attribute and rule, and the line it is about."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"Line {line}: {message}")
        self.message = message
        self.line = line
