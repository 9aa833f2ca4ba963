"""The recordings of a call whose files are not complete yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callflow.bxml import Webhook
from callflow.engine import reports
from voiceapps.rules.reports import RecordingStored, StatusEventQueued
from voiceapps.rules.webhook_bodies import CallView, RecordingView


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """A recording whose file is being written."""

    recording_id: str
    started_at: float
    """Epoch seconds."""
    available: Webhook | None
    """Who hears of the complete file; its URL is absolute."""

    def complete(self, duration_ms: int) -> RecordingView:
        """Return what webhook bodies say of the complete recording."""
        return RecordingView(self.recording_id, self.started_at, self.started_at + duration_ms / 1000, duration_ms)

    def reports(self, view: CallView, recording: RecordingView, path: str) -> list[RecordingStored | StatusEventQueued]:
        """Return what the database hears of the complete recording."""
        stored = reports.recording_stored(view, recording, path)
        if self.available is None:
            return [stored]
        return [stored, reports.recording_available(view, recording, self.available)]


class RecordingBook:
    """The open recordings of one call; a file may be complete only after the call's end."""

    def __init__(self, new_uuid: Callable[[], str]) -> None:
        self._new_uuid = new_uuid
        self._open: dict[str, OpenRecording] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, available: Webhook | None, started_at: float) -> str:
        """Enter a recording and return its id: `r-`, 47 characters in all."""
        recording_id = f"r-{self._new_uuid()[:8]}-{self._new_uuid()}"
        self._open[recording_id] = OpenRecording(recording_id, started_at, available)
        return recording_id

    def close(self, recording_id: str) -> OpenRecording | None:
        """Remove a recording and return it; None if it is not open (any more)."""
        return self._open.pop(recording_id, None)
