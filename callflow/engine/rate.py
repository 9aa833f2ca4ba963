"""Tell a call that is held by documents from a document that does nothing but lead to itself."""

from __future__ import annotations

from callflow.engine.limits import DOCUMENTS_PER_SECOND, MAX_DOCUMENTS


class DocumentRate:
    """A bucket of `MAX_DOCUMENTS` documents that leaks `DOCUMENTS_PER_SECOND`."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at: float | None = None

    def admits(self, now: float) -> bool:
        """Count a document and return whether the call may run it."""
        passed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._level = max(0.0, self._level - passed * DOCUMENTS_PER_SECOND) + 1
        return self._level <= MAX_DOCUMENTS
