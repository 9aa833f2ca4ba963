"""Run one call: carry effects from its engine to SIP, media and tasks, and bring back what comes of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

import structlog

from callflow.aio.call_media import CallMedia
from callflow.aio.call_work import CallWork
from callflow.aio.services import Services, SipSide
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import (
    Answer,
    Effect,
    HangUp,
    Play,
    StartRecording,
    StopPlaying,
    StopRecording,
    WriteReport,
)
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.alarm import Alarm
from voiceapps.rules.endings import EndReason
from voiceapps.rules.records import CallAnswered, CallEnded, CallFacts, Record

log = structlog.get_logger(__name__)

BYE_ONLY = 500
"""Status of a hang-up that cannot need one, as the call was answered."""
TAIL_SECONDS = 0.1
"""Pause before the BYE that ends a document: telephones hold audio back for about this long, and would cut the last word."""


class CallShell:
    """One call's engine, its media and its tasks.

    Every input, from the SIP side, the media side or a finished task, goes to the engine and is followed by `_pump`.
    """

    def __init__(self, facts: CallFacts, services: Services, sip: SipSide, on_finished: Callable[[], None]) -> None:
        self.engine = CallEngine(
            facts,
            services.config,
            new_uuid=lambda: str(uuid.uuid4()),
            epoch_offset=time.time() - time.monotonic(),
        )
        self._alarm = Alarm(self._on_alarm)
        self._leaving: asyncio.TimerHandle | None = None
        self._media = CallMedia(self.engine, services.recorders, self._pump)
        self._on_finished = on_finished
        self._pumping = False
        self._services = services
        self._sip = sip
        self._work = CallWork(self.engine, services, self._pump)

    # Inputs of the SIP side.

    def arrive(self, problem: str | None) -> None:
        """Begin; a problem with the caller's offer refuses the call."""
        if problem:
            self.engine.hang_up(EndReason.UNSUPPORTED_MEDIA, _now(), problem)
        else:
            self.engine.call_arrived(_now())
        self._pump()

    def cancelled(self) -> None:
        """The caller gave up before the answer."""
        self.engine.cancelled(_now())
        self._pump()

    def established(self, media: RemoteMedia) -> None:
        """The ACK is here: audio may flow."""
        self._media.connect(media)
        self.engine.hold_changed(media.held, _now())
        self.engine.acknowledged(_now())
        self._pump()

    def media_changed(self, media: RemoteMedia) -> None:
        """The caller moved its audio, or holds the call."""
        self._media.connect(media)
        self.engine.hold_changed(media.held, _now())
        self._pump()

    def peer_hung_up(self) -> None:
        """The caller sent BYE."""
        self.engine.peer_hung_up(_now())
        self._pump()

    def peer_lost(self, reason: EndReason) -> None:
        """The caller is gone."""
        self.engine.lost(reason, _now())
        self._pump()

    def shut_down(self) -> None:
        """End the call because the daemon stops."""
        self.engine.hang_up(EndReason.NODE_LOST, _now(), "The node that held the call was stopped.")
        self._pump()
        if self._leaving:
            self._leaving.cancel()
            self._leave(BYE_ONLY)

    # Effects.

    def _pump(self) -> None:
        """Carry out what the engine wants, then re-arm the timer or clean up."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while (effect := self._next_effect()) is not None:
                self._carry_out(effect)
        finally:
            self._pumping = False
        self._alarm.set(self.engine.get_timer())
        self._clean_up()

    def _next_effect(self) -> Effect | None:
        """Return the next effect; the media side runs before there is none, as it may bring more."""
        effect = self.engine.next_event()
        if effect is None:
            self._media.pump()
            effect = self.engine.next_event()
        return effect

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case WriteReport(report):
                self._write(report)
            case Answer():
                self._answer()
            case HangUp(status, reason):
                self._hang_up(status, reason)
            case Play(number, ulaw):
                self._media.play(number, ulaw)
            case StopPlaying():
                self._media.stop_playing()
            case StartRecording(recording_id, max_seconds):
                self._media.start_recording(recording_id, max_seconds)
            case StopRecording(recording_id):
                recorder = self._media.stop_recording()
                if recorder:
                    self._work.finish_recording(recorder, recording_id)
            case _:
                self._work.start(effect)

    def _answer(self) -> None:
        try:
            address = self._media.open(self._services.config.media_address)
        except OSError as error:
            sentence = f"There is no port for the call's audio. {error}"
            self.engine.hang_up(EndReason.INTERNAL_ERROR, _now(), sentence)
            return
        self._sip.answer(address)

    def _hang_up(self, status: int, reason: EndReason) -> None:
        """Leave at once, or when the telephone has played the last sound."""
        if reason is EndReason.APPLICATION_HANGUP:
            self._leaving = asyncio.get_running_loop().call_later(TAIL_SECONDS, self._leave, status)
        else:
            self._sip.hang_up(status)

    def _leave(self, status: int) -> None:
        self._leaving = None
        self._sip.hang_up(status)
        self._clean_up()

    def _clean_up(self) -> None:
        if self._leaving or not self.engine.ended:
            return
        self._media.close()
        if self.engine.finished:
            self._on_finished()

    def _write(self, report: Record) -> None:
        self._services.put_record(report)
        if isinstance(report, CallAnswered):
            self._services.metrics.call_answered()
        elif isinstance(report, CallEnded):
            self._services.metrics.call_ended(report.reason)
            log.info(
                "call_ended",
                call_id=report.call.call_id,
                end_class=report.reason.end_class.value,
                reason=report.reason.value,
                status=report.sip_status,
                error=report.error_message,
            )

    def _on_alarm(self, now: float) -> None:
        self._media.report_last_packet()
        self.engine.handle_timer(now)
        self._pump()


def _now() -> float:
    return time.monotonic()
