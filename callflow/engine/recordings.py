"""The recordings of a call, from their start until their files are complete, which may be after the call's end.

`<Record>` blocks the program and has its own recording; beside it one runs in the background, from `<StartRecording>` on. Pause and
resume mean whatever is being recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from callflow.bxml.recording import RecordingForm
from callflow.engine import reports
from callflow.engine.effects import Effect, PauseRecording, ResumeRecording, StartRecording, StopRecording, WriteReport
from voiceapps.rules.reports import CallFacts, RecordingBegun, RecordingStored, StatusEventQueued, TranscriptionWanted
from voiceapps.rules.webhook_bodies import CallView, RecordingView

Told = RecordingStored | StatusEventQueued | TranscriptionWanted


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """A recording whose file is not complete."""

    recording_id: str
    form: RecordingForm
    """Its webhook's URL is absolute."""
    path: str
    started_at: float
    """Epoch seconds."""
    stopped_at: float | None = None
    paused_at: float | None = None
    """Since when what is said is left out, by the engine's clock."""
    left_out: float | None = None
    """The seconds of pauses that are over; None if there was none."""
    transcription_id: str = ""
    """What its transcription is called, if one is wanted."""

    @property
    def was_paused(self) -> bool:
        """Whether anything was left out."""
        return self.paused_at is not None or self.left_out is not None

    def paused_seconds(self, now: float) -> float:
        """Return how long it has been paused in all."""
        return (self.left_out or 0.0) + (0.0 if self.paused_at is None else now - self.paused_at)

    def complete(self, duration_ms: int) -> RecordingView:
        """Return what webhook bodies say of the complete recording."""
        ended_at = self.started_at + duration_ms / 1000
        if self.was_paused and self.stopped_at is not None:
            ended_at = max(ended_at, self.stopped_at)
        return RecordingView(
            self.recording_id,
            self.started_at,
            ended_at,
            duration_ms,
            channels=self.form.sides.channels,
            file_format=self.form.file_format,
            name=self.form.name,
        )

    def begun(self, call: CallFacts) -> RecordingBegun:
        """Return what the database hears of the recording as it begins."""
        channels, name = self.form.sides.channels, self.form.name
        return RecordingBegun(call, self.recording_id, self.path, self.started_at, channels, self.form.file_format, name)

    def reports(self, view: CallView, recording: RecordingView) -> list[Told]:
        """Return what the database hears of the complete recording."""
        told: list[Told] = [reports.recording_stored(view, recording, self.path)]
        if self.form.available is not None:
            told.append(reports.recording_available(view, recording, self.form.available))
        if self.form.transcribe:
            told.append(reports.transcription_wanted(view, recording.recording_id, self.transcription_id, self.form.transcript))
        return told


class Recordings:
    """The recordings of one call, in its folder below `directory`; `emit` queues what the shell has to do."""

    def __init__(
        self, facts: CallFacts, directory: str, emit: Callable[[Effect], None], new_uuid: Callable[[], str], epoch_offset: float
    ) -> None:
        self._background: str | None = None
        self._emit = emit
        self._epoch_offset = epoch_offset
        self._facts = facts
        self._folder = f"{directory}/{facts.call_id}"
        self._new_uuid = new_uuid
        self._open: dict[str, OpenRecording] = {}
        self._wanted: tuple[RecordingForm, float] | None = None
        """A background recording that waits for the call's answer."""
        self._wanted_paused = False
        """True if it begins with a pause."""

    def __len__(self) -> int:
        return len(self._open)

    def start(self, form: RecordingForm, max_seconds: float, now: float) -> str:
        """Start a recording and return its id: `r-`, 47 characters in all."""
        recording_id = f"r-{self._new_uuid()[:8]}-{self._new_uuid()}"
        transcription_id = f"t-{self._new_uuid()}" if form.transcribe else ""
        path = f"{self._folder}/{recording_id}.{form.file_format}"
        recording = OpenRecording(recording_id, form, path, now + self._epoch_offset, transcription_id=transcription_id)
        self._open[recording_id] = recording
        self._emit(StartRecording(recording_id, path, max_seconds, form.file_format, form.sides))
        self._emit(WriteReport(recording.begun(self._facts)))
        return recording_id

    def start_background(self, form: RecordingForm, max_seconds: float, now: float, *, answered: bool) -> None:
        """Start the recording in the background, at the answer at the earliest; while there is one, nothing happens."""
        if self._background is None and self._wanted is None:
            self._wanted, self._wanted_paused = (form, max_seconds), False
        if answered:
            self.answered(now)

    def answered(self, now: float) -> None:
        """Start what has waited for the answer."""
        if self._wanted is not None:
            self._background = self.start(*self._wanted, now)
            self._wanted = None
            if self._wanted_paused:
                self._pause(self._background, now)

    def pause(self, now: float) -> bool:
        """Leave out what is said from now on, and return whether anything is being recorded."""
        self._wanted_paused = True
        for recording_id in self._running():
            self._pause(recording_id, now)
        return bool(self._running())

    def resume(self, now: float) -> bool:
        """Go on recording, and return whether there is anything to go on with."""
        self._wanted_paused = False
        for recording_id in self._running():
            recording = self._open[recording_id]
            if recording.paused_at is not None:
                self._open[recording_id] = replace(recording, paused_at=None, left_out=recording.paused_seconds(now))
            self._emit(ResumeRecording(recording_id))
        return bool(self._running())

    def recorded_seconds(self, recording_id: str, now: float) -> float:
        """Return what a recording that goes on holds; 0 for one that is not open."""
        recording = self._open.get(recording_id)
        return 0.0 if recording is None else now + self._epoch_offset - recording.started_at - recording.paused_seconds(now)

    def stop(self, recording_id: str, now: float) -> None:
        """Have a recording's file completed; one that is stopped or unknown is ignored."""
        recording = self._open.get(recording_id)
        if recording is not None and recording.stopped_at is None:
            self._open[recording_id] = replace(recording, stopped_at=now + self._epoch_offset)
            self._emit(StopRecording(recording_id))

    def stop_background(self, now: float) -> None:
        """Stop the recording in the background, if there is one."""
        if self._background is not None:
            self.stop(self._background, now)
        self._background = self._wanted = None

    def close(self, recording_id: str) -> OpenRecording | None:
        """Remove a recording whose file is complete or has failed, and return it; None if it is not open (any more)."""
        if recording_id == self._background:
            self._background = None
        return self._open.pop(recording_id, None)

    def _pause(self, recording_id: str, now: float) -> None:
        recording = self._open[recording_id]
        if recording.paused_at is None:
            self._open[recording_id] = replace(recording, paused_at=now)
        self._emit(PauseRecording(recording_id))

    def _running(self) -> list[str]:
        return [recording_id for recording_id, recording in self._open.items() if recording.stopped_at is None]
