"""Run a call as its BXML says.

Theory of operation
-------------------
A call is a small computer. A *document* is its program: a list of verbs and a program counter. Each kind of verb runs
as a *step* of its own kind (`verbs/`). One step runs at a time, and one phase holds at a time (tables in `states.py`;
`_move` is the only place that changes the phase):

    ARRIVE          FETCH            RUN             ANSWER
 NEW ──► LOOKING_UP ──► FETCHING ◄──────► RUNNING ◄─────────► ANSWERING       any ──► ENDED
                                  FETCH          ACKNOWLEDGE

The program comes from webhooks. `initiate` goes out as soon as the application is known. A verb with a completion
URL, and every `Redirect`, leaves its document for the one that the webhook answers with; the verbs behind it never
run. The end of a document hangs up. A webhook that fails (unreachable, time-out, any answer that is not 2xx) is
tried once more at its fallback URL, if it has one; an answer that is not valid BXML is not, because the backend did
respond.

The call arrives unanswered. The first verb that plays, listens or waits answers it, and starts only after the ACK
(D8). A document that hangs up before that rejects the call: 603, because the application declined it and no other
target should be tried. A call that fails before it is answered ends with 500, not with 503, which would invite
proxies to try again elsewhere.

The engine does nothing itself. Commands come in with the time; effects (`effects.py`) wait in `next_event()` for the
shell. Each effect that expects an answer carries a number, and an answer whose number is no longer awaited is
dropped: a digit may cut a prompt that is still being synthesised, the caller may hang up during a webhook. When
the call ends, a recording may still be open; `finished` turns true when its file has been accounted for.

Times are monotonic seconds; `epoch_offset` turns them into the epoch seconds of records and webhooks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from urllib.parse import urljoin

from callflow.bxml import BxmlError, Verb, Webhook, parse_document
from callflow.bxml.verbs.record import Record
from callflow.config import Application, CallflowConfig
from callflow.engine import reports
from callflow.engine.effects import (
    Answer,
    ApplicationWanted,
    Effect,
    FetchDocument,
    HangUp,
    RecordNow,
    StartRecording,
)
from callflow.engine.limits import MAX_DOCUMENTS
from callflow.engine.media_watch import MediaWatch
from callflow.engine.states import PHASES, Move, Phase
from callflow.engine.step import Step
from callflow.engine.urls import resolve
from callflow.engine.verbs import STEPS
from voiceapps.rules import webhook_bodies
from voiceapps.rules.endings import EndReason
from voiceapps.rules.outbound import OutboundAnswer
from voiceapps.rules.records import CallAnswered, CallFacts
from voiceapps.rules.webhook_bodies import CallView, Payload, RecordingView


class CallEngine:
    """Run one call; see the module's theory of operation."""

    def __init__(
        self,
        facts: CallFacts,
        config: CallflowConfig,
        *,
        new_uuid: Callable[[], str],
        epoch_offset: float,
    ) -> None:
        self.facts = facts
        # surroundings
        self._config = config
        self._epoch_offset = epoch_offset
        self._new_uuid = new_uuid
        # program
        self._application: Application | None = None
        self._base_url = ""
        self._documents = 0
        self._fetch: FetchDocument | None = None
        self._in_run = False
        self._next_verb = 0
        self._step: Step | None = None
        self._verbs: tuple[Verb, ...] = ()
        # call
        self._answered_at: float | None = None
        self._events: deque[Effect] = deque()
        self._number = 0
        self._phase = Phase.NEW
        self._recordings: dict[str, tuple[Record, float]] = {}
        self._tag = ""
        self._watch = MediaWatch(config.media_timeout_seconds)

    # The face.

    @property
    def ended(self) -> bool:
        """Tell whether the call is over."""
        return self._phase is Phase.ENDED

    @property
    def finished(self) -> bool:
        """Tell whether nothing more will come of this call."""
        return self.ended and not self._recordings and not self._events

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due."""
        step = self._step.deadline if self._step else None
        times = [time for time in (step, self._watch.deadline) if time is not None]
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._watch.expired(now):
            self.lost(EndReason.MEDIA_TIMEOUT, now)
        step = self._step
        if step and step.deadline is not None and step.deadline <= now:
            step.handle_timer(now)

    def next_event(self) -> Effect | None:
        """Return the next effect for the shell, or None."""
        return self._events.popleft() if self._events else None

    # What the SIP side reports.

    def acknowledged(self, now: float) -> None:
        """The caller's ACK is here: media may flow, and the call's duration counts from now."""
        if self._phase is not Phase.ANSWERING:
            return
        self._answered_at = now
        self._watch.start(now)
        self._move(Move.ACKNOWLEDGE)
        self.emit(RecordNow(CallAnswered(self.facts, self._config.name, now + self._epoch_offset)))
        self._run(now)

    def call_arrived(self, now: float) -> None:
        """Start: ask for the application."""
        self._move(Move.ARRIVE)
        self.emit(ApplicationWanted(self.facts.application_id))

    def cancelled(self, now: float) -> None:
        """The caller gave up before the answer."""
        self._end(EndReason.CALLER_CANCELLED, now)

    def failed(self, reason: EndReason, sentence: str, now: float) -> None:
        """The call cannot be taken, or cannot go on, for a reason of our own."""
        self._hang_up(reason, now, sentence)

    def hold_changed(self, held: bool, now: float) -> None:
        """The caller put us on hold, or took us off: a held call may be silent."""
        self._watch.hold(held, now)

    def lost(self, reason: EndReason, now: float) -> None:
        """The caller is gone: ACK_TIMEOUT, MEDIA_TIMEOUT or CALLER_UNREACHABLE."""
        self._hang_up(reason, now, reports.LOST_SENTENCES.get(reason))

    def peer_hung_up(self, now: float) -> None:
        """The caller sent BYE."""
        self._end(EndReason.CALLER_HANGUP, now)

    # What the media side reports.

    def audio_received(self, ulaw: bytes, now: float) -> None:
        """A frame of the caller's audio is here."""
        if self._step:
            self._step.audio_received(ulaw, now)

    def digit_received(self, digit: str, now: float) -> None:
        """The caller pressed a key; nobody listens outside Gather and Record."""
        if self._step:
            self._step.digit_received(digit, now)

    def media_heard(self, at: float) -> None:
        """A packet came from the caller at this time."""
        self._watch.heard(at)

    def playback_finished(self, number: int, now: float) -> None:
        """The sound of a Play has been sent."""
        if self._step:
            self._step.playback_finished(number, now)

    def recording_failed(self, recording_id: str, sentence: str, now: float) -> None:
        """The file of a recording could not be written."""
        if self._recordings.pop(recording_id, None):
            self._hang_up(EndReason.INTERNAL_ERROR, now, sentence)

    def recording_finished(self, recording_id: str, path: str, duration_ms: int, now: float) -> None:
        """The file of a recording is complete."""
        entry = self._recordings.pop(recording_id, None)
        if entry is None:
            return
        verb, started_at = entry
        recording = RecordingView(recording_id, started_at, started_at + duration_ms / 1000, duration_ms)
        self._report_recording(verb, recording, path, now)
        if self._step:
            self._step.recording_over(recording, now)

    def sound_failed(self, number: int, reason: EndReason, sentence: str, now: float) -> None:
        """A sound could not be made or fetched; the call fails, as there is nothing to play."""
        if self._step and self._step.wants_sound(number):
            self._hang_up(reason, now, sentence)

    def sound_ready(self, number: int, ulaw: bytes, now: float) -> None:
        """A sound is ready to be played."""
        if self._step and self._step.wants_sound(number):
            self._step.sound_ready(number, ulaw)

    # What the application's side reports.

    def application_found(self, application: Application | None, now: float) -> None:
        """Ask for the first document; without an application (deleted, or no database) the call fails."""
        if self._phase is not Phase.LOOKING_UP:
            return
        if application is None:
            self._hang_up(EndReason.INTERNAL_ERROR, now, "The application could not be read.")
            return
        self._application = application
        self.fetch("initiate", application.initiated, webhook_bodies.initiate(self.view(now)), now)

    def document_answered(self, number: int, answer: OutboundAnswer, now: float) -> None:
        """Run the document that a webhook answered with, or try its fallback, or fail the call."""
        fetch = self._fetch
        if fetch is None or fetch.number != number:
            return
        self._fetch = None
        problem = answer.problem()
        if problem is None:
            self._load(fetch, answer.body, now)
        elif fetch.webhook.fallback:
            self._send_fetch(fetch.event_type, fetch.webhook.fallback, dict(fetch.body))
        else:
            sentence = f"The {fetch.event_type} webhook to {fetch.webhook.url} failed. {problem}"
            self._hang_up(EndReason.CALLBACK_ERROR, now, sentence)

    # What steps use (`Stage`).

    def emit(self, effect: Effect) -> None:
        """Queue an effect for the shell."""
        self._events.append(effect)

    def fetch(self, event_type: str, webhook: Webhook, body: Payload, now: float) -> None:
        """Leave this document for the one that a webhook answers with."""
        self._step = None
        self._documents += 1
        if self._documents > MAX_DOCUMENTS:
            sentence = f"The call ran more than {MAX_DOCUMENTS} documents."
            self._hang_up(EndReason.APPLICATION_ERROR, now, sentence)
            return
        self._move(Move.FETCH)
        self._send_fetch(event_type, resolve(webhook, self._base_url), body)

    def new_number(self) -> int:
        """Return a number that no other effect of this call has."""
        self._number += 1
        return self._number

    def hang_up_by_document(self, now: float) -> None:
        """End the call as its document says, or reject it where it is not answered yet."""
        answered = self._answered_at is not None
        self._hang_up(EndReason.APPLICATION_HANGUP if answered else EndReason.APPLICATION_REJECTED, now)

    def resolve(self, url: str) -> str:
        """Return a URL of the document as an absolute one."""
        return urljoin(self._base_url, url)

    def set_tag(self, tag: str | None) -> None:
        """Change the call's tag; None leaves it as it is."""
        if tag is not None:
            self._tag = tag

    def start_recording(self, verb: Record, now: float) -> str:
        """Start a recording and return its id: `r-`, 47 characters in all."""
        recording_id = f"r-{self._new_uuid()[:8]}-{self._new_uuid()}"
        self._recordings[recording_id] = (verb, now + self._epoch_offset)
        self.emit(StartRecording(recording_id, verb.max_duration))
        return recording_id

    def verb_done(self, now: float) -> None:
        """Go on with the next verb."""
        self._step = None
        self._run(now)

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""
        answered = None if self._answered_at is None else self._answered_at + self._epoch_offset
        return CallView(self.facts, self._config.public_url, now + self._epoch_offset, answered, self._tag)

    @property
    def webhook_timeout(self) -> float:
        """Return how many seconds each request to the application's backend may take."""
        return self._application.timeout_seconds if self._application else 0.0

    # The program.

    def _load(self, fetch: FetchDocument, body: bytes, now: float) -> None:
        try:
            document = parse_document(body)
        except BxmlError as error:
            sentence = f"The answer to the {fetch.event_type} webhook is not valid BXML. {error}"
            self._hang_up(EndReason.INVALID_BXML, now, sentence)
            return
        self._base_url = fetch.webhook.url
        self._verbs, self._next_verb = document.verbs, 0
        self._move(Move.RUN)
        self._run(now)

    def _run(self, now: float) -> None:
        """Start verbs until one takes time; a step that ends at once comes back here, hence the guard."""
        if self._in_run:
            return
        self._in_run = True
        while self._phase is Phase.RUNNING and self._step is None:
            self._start_verb(now)
        self._in_run = False

    def _start_verb(self, now: float) -> None:
        if self._next_verb >= len(self._verbs):
            self.hang_up_by_document(now)
            return
        verb = self._verbs[self._next_verb]
        step = STEPS[type(verb)]
        if self._answered_at is None and step.answers_call:
            self._move(Move.ANSWER)
            self.emit(Answer())
            return
        self._next_verb += 1
        self._step = step(self, verb)
        self._step.begin(now)

    # The end.

    def _end(self, reason: EndReason, now: float, sentence: str | None = None) -> None:
        if self.ended:
            return
        if self._step:
            self._step.abandon()
        answered = self._phase is Phase.ANSWERING or self._answered_at is not None
        record = reports.call_ended(
            self.view(now),
            self._config.name,
            reason,
            status=200 if answered else reports.refusal_status(reason),
            sentence=sentence,
            error_id=self._new_uuid() if sentence else None,
        )
        self._fetch = self._step = None
        self._watch.stop()
        self._move(Move.END)
        self.emit(RecordNow(record))

    def _hang_up(self, reason: EndReason, now: float, sentence: str | None = None) -> None:
        if not self.ended:
            self.emit(HangUp(reports.refusal_status(reason), reason))
            self._end(reason, now, sentence)

    # Records and small parts.

    def _move(self, move: Move) -> None:
        self._phase = PHASES[self._phase][move]

    def _report_recording(self, verb: Record, recording: RecordingView, path: str, now: float) -> None:
        view = self.view(now)
        self.emit(RecordNow(reports.recording_stored(view, recording, path)))
        if verb.available:
            webhook = resolve(verb.available, self._base_url)
            self.emit(RecordNow(reports.recording_available(view, recording, webhook)))

    def _send_fetch(self, event_type: str, webhook: Webhook, body: Payload) -> None:
        self._fetch = FetchDocument(self.new_number(), event_type, webhook, body, self.webhook_timeout)
        self.emit(self._fetch)
