"""Choose one of the ways by which a caller sends its digits: a telephone may send each press by several of them at once."""

from __future__ import annotations

from enum import StrEnum


class DigitMethod(StrEnum):
    """How a digit comes; the value is the label of a metric."""

    EVENT = "rfc4733"
    INFO = "info"
    TONE = "tone"


class DigitMethodChoice:
    """The method of one caller: the first that works, until media is negotiated again."""

    def __init__(self) -> None:
        self._chosen: DigitMethod | None = None

    def admits(self, method: DigitMethod) -> bool:
        """Return whether a digit counts; the first one chooses its method."""
        self._chosen = self._chosen or method
        return method is self._chosen

    def reset(self) -> None:
        """Choose anew: offer and answer may have changed what the caller does."""
        self._chosen = None
