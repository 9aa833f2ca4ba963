"""Run a call as its BXML says.

Theory of operation
-------------------
A call is a small computer. Its *program* (`program.py`) is a document: a list of verbs and a program counter. Each kind
of verb runs as a *step* of its own kind (`verbs/`). One step runs at a time, and the call is in one phase at a time (tables
in `states.py`; only `move` changes the phase):

    ARRIVE          FETCH            RUN             ANSWER
 NEW ──► LOOKING_UP ──► FETCHING ◄──────► RUNNING ◄─────────► ANSWERING       any ──► ENDED
                                  FETCH          ACKNOWLEDGE

The program comes from webhooks. `initiate` is sent as soon as the application is known. A verb with a completion URL, and
every `Redirect`, replaces its document by the one that its webhook answers with; the verbs behind it never run. The end
of a document hangs up. A webhook that fails (unreachable, timed out, any answer that is not 2xx) is sent once more to its
fallback URL, if it has one. An answer that is not valid BXML fails the call without the fallback, because the backend did
respond.

A call arrives unanswered. The first verb that plays, listens or waits answers it, and starts only after the ACK, because
until then the caller may not be ready for media. A document that hangs up before that rejects the call with 603: the
application declined it, and no other target should be tried. A call that fails unanswered gets 500 (488 if we share no
codec) rather than 503, which would invite proxies to try again elsewhere.

The engine does no I/O. Commands come in with the time; effects (`effects.py`) wait in `next_event()` for the shell. Each
effect that is answered carries a number, and an answer whose number is no longer awaited is dropped: a digit may stop a
prompt while its sound is being made, and the caller may hang up during a webhook. A recording may still be open when the
call ends (`recordings.py`); `finished` turns true when its file is complete or has failed.

Times are monotonic seconds; `epoch_offset` turns them into the epoch seconds of records and webhooks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from callflow.audio.octets import Octets
from callflow.config import Application, CallflowConfig
from callflow.engine import reports
from callflow.engine.effects import ApplicationWanted, Effect, HangUp, ProbePeer, WriteReport
from callflow.engine.listening import Listenings
from callflow.engine.media_watch import MediaWatch
from callflow.engine.orders import Order
from callflow.engine.program import Program
from callflow.engine.recordings import Recordings
from callflow.engine.referrals import Referrals
from callflow.engine.states import PHASES, Move, Phase
from callflow.engine.streams import Streams
from callflow.engine.transcriptions import Transcriptions
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.reports import CallAnswered, CallFacts
from voiceapps.rules.webhook_bodies import CallerDetails, CallView


class CallEngine:
    """One call; see the module's theory of operation."""

    def __init__(
        self, facts: CallFacts, details: CallerDetails, config: CallflowConfig, *, new_uuid: Callable[[], str], epoch_offset: float
    ) -> None:
        self.facts = facts
        self._accepted = False
        self._answered_at: float | None = None
        self._application: Application | None = None
        self._config = config
        self._details = details
        self._epoch_offset = epoch_offset
        self._events: deque[Effect] = deque()
        self._new_uuid = new_uuid
        self._phase = Phase.NEW
        self._program = Program(self, new_uuid)
        self.listenings = Listenings(self.emit, self._program.new_number)
        self.recordings = Recordings(facts, config.recordings_dir, self.emit, new_uuid, epoch_offset)
        self.referrals = Referrals(self.emit, self._program.new_number)
        self.streams = Streams(self.emit, new_uuid, self.view, self._program.stream_over)
        self.transcriptions = Transcriptions(self.emit, new_uuid, self.view)
        self._watch = MediaWatch()

    # Events and timers.

    @property
    def ended(self) -> bool:
        """True if the call is over."""
        return self._phase is Phase.ENDED

    @property
    def finished(self) -> bool:
        """True if nothing more will come of this call."""
        return self.ended and not (self.recordings or self.streams or self.transcriptions or self._events)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due, None for never."""
        step = self._program.step
        times = [time for time in (step.deadline if step else None, self._watch.deadline) if time is not None]
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        """Ask a caller that gives no sign of life, give one up that does not answer, and run the verb's timer."""
        if self._watch.due(now):
            self._ask_or_give_up(now)
        step = self._program.step
        if step and step.deadline is not None and step.deadline <= now:
            step.handle_timer(now)

    def next_event(self) -> Effect | None:
        """Return the next effect for the shell, or None."""
        return self._events.popleft() if self._events else None

    # What the SIP side reports.

    def accepted(self) -> None:
        """Take that the 2xx was sent: no other final response can follow."""
        self._accepted = True

    def acknowledged(self, at: float, now: float) -> None:
        """Take the caller's ACK: media may flow. The call's duration counts from `at`, when the caller got our answer."""
        if self._phase is not Phase.ANSWERING or self._application is None:
            return
        self._answered_at = at
        self._watch.start(self._application.media_timeout, now)
        self.move(Move.ACKNOWLEDGE)
        self.emit(WriteReport(CallAnswered(self.facts, self._config.name, at + self._epoch_offset)))
        self.recordings.answered(now)
        self.streams.answered()
        self.transcriptions.answered()
        self._program.run(now)

    def call_arrived(self, now: float) -> None:
        """Start the call: ask for its application."""
        self.move(Move.ARRIVE)
        self.emit(ApplicationWanted(self.facts.application_id))

    def cancelled(self, now: float) -> None:
        """Take the caller's CANCEL."""
        self._end(EndReason.CALLER_CANCELLED, now)

    def mute_changed(self, muted: bool, now: float) -> None:
        """Take whether the caller may be silent, as it is held, sends nothing or receives nothing."""
        self._watch.mute(muted, now)

    def lost(self, reason: EndReason, now: float) -> None:
        """End a call whose caller is gone: ACK_TIMEOUT, MEDIA_TIMEOUT, UNSUPPORTED_MEDIA or CALLER_UNREACHABLE."""
        self.hang_up(reason, now, reports.LOST_SENTENCES.get(reason))

    def peer_answered(self, now: float) -> None:
        """Take a sign of life: the caller answered a request of ours, or sent one."""
        self._watch.heard(now)

    def peer_silent(self, now: float) -> None:
        """End the call if the caller was asked because nothing else came from it; otherwise no answer says nothing."""
        if self._watch.asked:
            self.lost(EndReason.MEDIA_TIMEOUT, now)

    def peer_hung_up(self, at: float) -> None:
        """Take the caller's BYE, and when it was sent, as far as that is known."""
        self._end(EndReason.CALLER_HANGUP, at if self._answered_at is None else max(at, self._answered_at))

    # What the media side reports.

    @property
    def wants_audio(self) -> bool:
        """True if `audio_received` is to get the caller's audio."""
        return self._program.step is not None and self._program.step.wants_audio

    def audio_received(self, ulaw: bytes, now: float) -> None:
        """Take a frame of the caller's audio."""
        if self._program.step:
            self._program.step.audio_received(ulaw, now)

    def digit_received(self, digit: str, now: float) -> None:
        """Take a digit, unless the call is over."""
        if not self.ended:
            self._program.digit_received(digit, now)

    def media_heard(self, at: float) -> None:
        """Take note that RTP or RTCP came from the caller at this time."""
        self._watch.heard(at)

    def playback_finished(self, number: int, now: float) -> None:
        """Take note that the sound of a Play has been sent."""
        if self._program.step:
            self._program.step.playback_finished(number, now)

    def recording_failed(self, recording_id: str, sentence: str, now: float) -> None:
        """Fail the call: the file of a recording could not be written."""
        if self.recordings.close(recording_id):
            self.hang_up(EndReason.INTERNAL_ERROR, now, sentence)

    def recording_finished(self, recording_id: str, duration_ms: int, now: float) -> None:
        """Report a recording whose file is complete."""
        closed = self.recordings.close(recording_id)
        if closed is None:
            return
        recording = closed.complete(duration_ms)
        for report in closed.reports(self.view(now), recording):
            self.emit(WriteReport(report))
        if self._program.step:
            self._program.step.recording_over(recording, now)

    def sound_failed(self, number: int, reason: EndReason, sentence: str, now: float) -> None:
        """Fail the call: a sound could not be made or fetched."""
        if self._program.step_wanting(number):
            self.hang_up(reason, now, sentence)

    def sound_ready(self, number: int, ulaw: Octets, now: float) -> None:
        """Take a sound that a verb asked for."""
        if step := self._program.step_wanting(number):
            step.sound_ready(number, ulaw)

    def early_media_opened(self, now: float) -> None:
        """Take note that the caller hears us although the call is not answered."""
        self._program.early_media_opened(now)

    # What the application's side reports.

    def application_found(self, application: Application | None, now: float) -> None:
        """Ask for the first document; fail the call if its application is gone or cannot be read."""
        if self._phase is not Phase.LOOKING_UP:
            return
        if application is None:
            self.hang_up(EndReason.INTERNAL_ERROR, now, "The application could not be read.")
        else:
            self._application = application
            self._program.begin(application, now)

    def document_answered(self, number: int, answer: OutboundAnswer, now: float) -> None:
        """Take the answer to a webhook: run its document, try the fallback, or fail the call."""
        self._program.document_answered(number, answer, now)

    # What the API wants.

    def obey(self, order: Order, now: float) -> bool:
        """Leave the document for what the API wants; return False if the call is over."""
        goes_on = not self.ended
        if goes_on:
            self._program.obey(order, now)
        return goes_on

    # What the program uses (`program.Call`).

    @property
    def answered(self) -> bool:
        """True if the caller has acknowledged our answer."""
        return self._answered_at is not None

    @property
    def keepalive(self) -> float:
        """Seconds between questions to a caller behind NAT or on a stream; 0 asks none."""
        return self._application.keepalive if self._application else 0.0

    @property
    def phase(self) -> Phase:
        """What the call is doing."""
        return self._phase

    def emit(self, effect: Effect) -> None:
        """Queue an effect for the shell."""
        self._events.append(effect)

    def hang_up(self, reason: EndReason, now: float, sentence: str | None = None, status: int | None = None) -> None:
        """End the call from our side, unless it has ended; `sentence` tells the application's owner what went wrong.

        `status` is the final response of an unanswered call, if the reason's usual one does not fit.
        """
        if not self.ended:
            status = status or reports.refusal_status(reason)
            self.emit(HangUp(status, reason))
            self._end(reason, now, sentence, status)

    def move(self, move: Move) -> None:
        """Enter the next phase."""
        self._phase = PHASES[self._phase][move]

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""
        answered = None if self._answered_at is None else self._answered_at + self._epoch_offset
        return CallView(self.facts, self._config.public_url, now + self._epoch_offset, answered, self._program.tag, self._details)

    def _ask_or_give_up(self, now: float) -> None:
        if self._watch.asked:
            self.lost(EndReason.MEDIA_TIMEOUT, now)
        else:
            self._watch.ask(now)
            self.emit(ProbePeer())

    def _end(self, reason: EndReason, now: float, sentence: str | None = None, status: int | None = None) -> None:
        if self.ended:
            return
        report = reports.call_ended(
            self.view(now),
            self._config.name,
            reason,
            status=200 if self._accepted else status or reports.refusal_status(reason),
            sentence=sentence,
            error_id=self._new_uuid() if sentence else None,
        )
        self._program.stop(now)
        self.recordings.stop_background(now)
        self.streams.stop_all()
        self.transcriptions.stop_all()
        self._watch.stop()
        self.move(Move.END)
        self.emit(WriteReport(report))
