"""Run one call: carry out its engine's effects by SIP, media and tasks, and give the results back to the engine."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

import structlog
from structlog.contextvars import bound_contextvars

from callflow.aio.call_listening import CallListening
from callflow.aio.call_media import CallMedia
from callflow.aio.call_streams import CallStreams
from callflow.aio.call_transcriptions import CallTranscriptions
from callflow.aio.call_work import CallWork
from callflow.aio.metrics import CallflowMetrics
from callflow.aio.services import Services, SipSide
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import (
    Alert,
    Answer,
    CloseStream,
    CloseTranscription,
    Effect,
    HangUp,
    Listen,
    OpenStream,
    OpenTranscription,
    PauseRecording,
    Play,
    ProbePeer,
    ReferCaller,
    ResumeRecording,
    SendDigits,
    StartRecording,
    StopListening,
    StopPlaying,
    StopRecording,
    VerbStarted,
    WriteReport,
)
from callflow.engine.orders import Order
from callflow.sip.events import (
    CallAccepted,
    CallArrived,
    CallCancelled,
    CallEstablished,
    DigitSignalled,
    EarlyMediaOpened,
    MediaChanged,
    PeerAnswered,
    PeerHungUp,
    PeerLost,
    PeerSilent,
    ReferOver,
    SipEvent,
)
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.address import Address
from daemonkit.alarm import Alarm
from voiceapps.rules.call_orders import Outcome
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallAnswered, CallEnded, Report

log = structlog.get_logger(__name__)

BYE_ONLY = 500
"""The status of a hang-up that will not use it, because the call is answered."""
TAIL_SECONDS = 0.1
"""Pause before the BYE at the end of a document: telephones buffer about this much audio, and would drop the last word."""


class CallShell:
    """One call's engine, its media and its tasks.

    Every input, from the SIP side, the media side or a finished task, goes to the engine and is followed by `_pump`.

    Log lines carry the call's id: `handle` and `shut_down` bind it, and asyncio runs the tasks, timers and readers that
    they start in a copy of that context.
    """

    def __init__(self, arrived: CallArrived, services: Services, sip: SipSide, on_finished: Callable[[], None]) -> None:
        self._engine = CallEngine(
            arrived.facts,
            arrived.details,
            services.config,
            new_uuid=lambda: str(uuid.uuid4()),
            epoch_offset=time.time() - time.monotonic(),
        )
        self._address: Address | None = None
        """Where we receive audio, once the sockets are open."""
        self._alarm = Alarm(self._on_alarm)
        self._facts = arrived.facts
        self._is_proven = arrived.is_proven
        self._leaving: asyncio.TimerHandle | None = None
        self._listening = CallListening(self._engine, services, self._pump)
        self._media = CallMedia(self._engine, services, self._pump)
        self._on_finished = on_finished
        self._pumping = False
        self._services = services
        self._sip = sip
        self._streams = CallStreams(self._engine, services, self._pump)
        self._transcriptions = CallTranscriptions(self._engine, services, self._pump)
        self._work = CallWork(self._engine, services, self._pump)

    def handle(self, event: SipEvent) -> None:
        """Take an event of the user agent that concerns this call."""
        with bound_contextvars(call_id=self._facts.call_id):
            self._handle(event)
            self._pump()

    @property
    def call_id(self) -> str:
        """The call's id."""
        return self._facts.call_id

    def obey(self, order: Order) -> Outcome:
        """Leave the document, as the API orders it."""
        return self._order(lambda: self._engine.obey(order, _now()))

    def set_recording(self, *, on: bool) -> Outcome:
        """Pause or resume what is being recorded, as the API orders it."""
        if self._engine.ended:
            return Outcome.OVER
        recordings = self._engine.recordings
        return self._order(lambda: (recordings.resume if on else recordings.pause)(_now()), otherwise=Outcome.IDLE)

    def _order(self, carry_out: Callable[[], bool], otherwise: Outcome = Outcome.OVER) -> Outcome:
        with bound_contextvars(call_id=self._facts.call_id):
            done = carry_out()
            self._pump()
        return Outcome.DONE if done else otherwise

    def shut_down(self) -> None:
        """End the call because the daemon stops."""
        with bound_contextvars(call_id=self._facts.call_id):
            self._engine.hang_up(EndReason.NODE_LOST, _now(), "The node that held the call was stopped.")
            self._pump()
            if self._leaving:
                self._leaving.cancel()
                self._leave(BYE_ONLY)

    # Inputs.

    def _handle(self, event: SipEvent) -> None:
        match event:
            case CallArrived():
                self._begin(event)
            case CallAccepted():
                self._media.listen_for_answer()
                self._engine.accepted()
            case EarlyMediaOpened(_, media):
                self._connect(media)
                self._engine.early_media_opened(_now())
            case CallCancelled():
                self._engine.cancelled(_now())
            case CallEstablished(_, media, at):
                self._connect(media)
                self._engine.acknowledged(self._media.answered_at(at), _now())
            case MediaChanged(_, media):
                self._connect(media)
            case PeerHungUp(_, at, late):
                self._engine.peer_hung_up(min(self._media.heard_until(_now()), at) if late else at)
            case PeerLost(_, reason):
                self._engine.lost(reason, _now())
            case _:
                self._handle_sign(event)

    def _handle_sign(self, event: SipEvent) -> None:
        """Take a digit, what came of a REFER, or a sign that the caller is there or not."""
        match event:
            case DigitSignalled(_, digit, duration_ms):
                log.debug("digit_signalled", digit_ms=duration_ms)
                self._media.digit_signalled(digit)
            case ReferOver(_, number, outcome):
                log.info("refer_over", response=outcome.response, notified=outcome.notified)
                self._engine.referrals.over(number, outcome, _now())
            case PeerAnswered():
                self._engine.peer_answered(_now())
            case PeerSilent():
                self._media.report_last_packet()
                self._engine.peer_silent(_now())
            case _:
                pass

    def _begin(self, arrived: CallArrived) -> None:
        """Start the engine, or refuse the call if its offer cannot be accepted."""
        log.info("call_arrived", application_id=self._facts.application_id, reach=arrived.reach)
        problem = arrived.problem
        if problem:
            self._engine.hang_up(EndReason.UNSUPPORTED_MEDIA, _now(), problem.sentence, problem.status)
            return
        if arrived.wants_ring:
            address = self._open_media()
            if address is None:
                return
            self._sip.ring(address)
        self._engine.call_arrived(_now())

    def _connect(self, media: RemoteMedia) -> None:
        self._media.connect(media)
        self._engine.mute_changed(media.held, _now())

    def _on_alarm(self, now: float) -> None:
        self._media.report_last_packet()
        self._engine.handle_timer(now)
        self._pump()

    # Effects.

    def _pump(self) -> None:
        """Carry out the engine's effects, then re-arm the timer and release what is no longer needed."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while (effect := self._next_effect()) is not None:
                self._carry_out(effect)
        finally:
            self._pumping = False
        self._media.hear_for_engine(wanted=self._engine.wants_audio)
        self._alarm.set(self._engine.get_timer())
        self._clean_up()

    def _next_effect(self) -> Effect | None:
        """Return the next effect, or None; the media side runs before that, as it may cause more."""
        effect = self._engine.next_event()
        if effect is None:
            self._media.pump()
            effect = self._engine.next_event()
        return effect

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case VerbStarted(name, line):
                log.debug("verb_started", verb=name, line=line)
            case WriteReport(report):
                self._write(report)
            case Alert() | Answer() | ProbePeer() | ReferCaller() | HangUp():
                self._carry_out_sip(effect)
            case Play() | SendDigits() | StopPlaying():
                self._media.carry_out(effect)
            case StartRecording() | PauseRecording() | ResumeRecording() | StopRecording():
                self._carry_out_recording(effect)
            case OpenStream() | CloseStream():
                self._streams.carry_out(effect, self._media.session)
            case Listen() | StopListening():
                self._listening.carry_out(effect, self._media.session)
            case OpenTranscription() | CloseTranscription():
                self._transcriptions.carry_out(effect, self._media.session)
            case _:
                self._work.start(effect)

    def _carry_out_recording(self, effect: StartRecording | PauseRecording | ResumeRecording | StopRecording) -> None:
        match effect:
            case StartRecording():
                self._media.start_recording(effect)
            case PauseRecording(recording_id):
                self._media.pause_recording(recording_id, paused=True)
            case ResumeRecording(recording_id):
                self._media.pause_recording(recording_id, paused=False)
            case StopRecording(recording_id):
                recorder = self._media.stop_recording(recording_id)
                if recorder:
                    self._work.finish_recording(recorder, recording_id)

    def _carry_out_sip(self, effect: Alert | Answer | ProbePeer | ReferCaller | HangUp) -> None:
        match effect:
            case Alert():
                self._alert()
            case Answer():
                self._answer()
            case ProbePeer():
                self._sip.probe()
            case ReferCaller(number, target):
                self._sip.refer(number, target)
            case HangUp(status, reason):
                self._hang_up(status, reason)

    def _alert(self) -> None:
        if self._is_proven and (address := self._open_media()):
            self._sip.progress(address)

    def _answer(self) -> None:
        address = self._open_media()
        if address:
            self._sip.answer(address, self._engine.keepalive)

    def _open_media(self) -> Address | None:
        """Return where we receive the call's audio; fail the call and return None if there is no port."""
        if self._address is None:
            try:
                self._address = self._media.open(self._services.config.media_address)
            except OSError as error:
                sentence = f"There is no port for the call's audio. {error}"
                self._engine.hang_up(EndReason.INTERNAL_ERROR, _now(), sentence)
        return self._address

    def _hang_up(self, status: int, reason: EndReason) -> None:
        """Hang up at once, or after the telephone has played the last sound."""
        if reason is EndReason.APPLICATION_HANGUP:
            self._leaving = asyncio.get_running_loop().call_later(TAIL_SECONDS, self._leave, status)
        else:
            self._sip.hang_up(status)

    def _leave(self, status: int) -> None:
        self._leaving = None
        self._sip.hang_up(status)
        self._clean_up()

    def _clean_up(self) -> None:
        if self._leaving or not self._engine.ended:
            return
        self._media.close()
        if self._engine.finished:
            self._on_finished()

    def _write(self, report: Report) -> None:
        self._services.put_record(report)
        _tell(report, self._services.metrics)


def _tell(report: Report, metrics: CallflowMetrics) -> None:
    """Log and count the answer and the end of a call."""
    if isinstance(report, CallAnswered):
        log.debug("call_answered")
        metrics.call_answered()
    elif isinstance(report, CallEnded):
        reason = report.reason
        metrics.call_ended(reason)
        log.info("call_ended", end_class=reason.end_class.value, reason=reason.value, status=report.sip_status, error=report.error_message)


def _now() -> float:
    return time.monotonic()
