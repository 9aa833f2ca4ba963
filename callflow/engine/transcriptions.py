"""The transcriptions of a call: what is said is written down while it is said.

Words come from the shell, utterance by utterance, and are kept until the transcription is over; then the database gets them, and the
URL that the verb names hears where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from callflow.bxml import Webhook
from callflow.bxml.verbs.transcription import StartTranscription
from callflow.engine import reports
from callflow.engine.effects import CloseTranscription, Effect, OpenTranscription, WriteReport
from callflow.engine.followers import Follower, Followers, View
from callflow.engine.limits import MAX_TRANSCRIPTION
from voiceapps.rules.transcripts import Clip
from voiceapps.rules.webhook_bodies import CallView, TranscriptionView


@dataclass(slots=True)
class Transcription(Follower):
    """One transcription, and what was heard on each of its tracks."""

    verb: StartTranscription = field(kw_only=True)
    clips: list[Clip] = field(default_factory=list)
    """A clip's speaker is the index of its track."""
    characters: int = 0
    language: str = ""
    """Which is recognised."""

    @property
    def view(self) -> TranscriptionView:
        """What webhooks say of it."""
        return TranscriptionView(self.number, self.name, self.tracks, self.verb.destination, self.verb.stabilized, self.started_at)


class Transcriptions(Followers[Transcription]):
    """The transcriptions of one call."""

    def __init__(self, emit: Callable[[Effect], None], new_uuid: Callable[[], str], view: View) -> None:
        super().__init__(emit, view)
        self._new_uuid = new_uuid

    def start(self, verb: StartTranscription, events: Webhook | None, now: float, *, answered: bool) -> None:
        """Start one, at the answer at the earliest; one that the call cannot have is told as rejected."""
        number = f"t-{self._new_uuid()}"
        self._begin(Transcription(number, verb.name or number, verb.tracks, events, verb=verb), now, answered=answered)

    def language_chosen(self, number: str, language: str) -> None:
        """Take which language is recognised."""
        if number in self._followers:
            self._followers[number].language = language

    def words_heard(self, number: str, clip: Clip) -> None:
        """Keep an utterance, unless there are too many."""
        transcription = self._followers.get(number)
        if transcription is not None and transcription.characters + len(clip.text) <= MAX_TRANSCRIPTION:
            transcription.characters += len(clip.text)
            transcription.clips.append(clip)

    def _open(self, follower: Transcription) -> None:
        self._emit(OpenTranscription(follower.number, follower.name, follower.verb))

    def _close(self, follower: Transcription) -> None:
        self._emit(CloseTranscription(follower.number))

    def _tell_started(self, follower: Transcription, view: CallView) -> None:
        self._report("realTimeTranscriptionStarted", follower, view)

    def _tell_rejected(self, follower: Transcription, view: CallView, cause: str, sentence: str) -> None:
        self._emit(WriteReport(reports.notice(view, f"<StartTranscription>: {sentence}")))
        self._report("realTimeTranscriptionRejected", follower, view, cause, sentence)

    def _tell_stopped(self, follower: Transcription, view: CallView, cause: str, sentence: str) -> None:
        self._report("realTimeTranscriptionStopped", follower, view, cause, sentence)
        if follower.started_at is not None:
            self._emit(WriteReport(reports.transcript_kept(view, follower.view, follower.language, tuple(follower.clips))))
            self._report("realTimeTranscriptionAvailable", follower, view)

    def _report(self, event_type: str, transcription: Transcription, view: CallView, cause: str = "", sentence: str = "") -> None:
        if transcription.events is not None:
            event = reports.transcription_event(event_type, view, transcription.view, transcription.events, cause, sentence)
            self._emit(WriteReport(event))
