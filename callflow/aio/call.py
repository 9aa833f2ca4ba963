"""Run one call: carry effects from its engine to sockets, files and programs, and bring back what comes of them."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import Callable, Coroutine

import structlog

from callflow.aio.media import MediaEndpoint
from callflow.aio.recorder import Recorder, RecordingFailed
from callflow.aio.services import Services, SipSide
from callflow.aio.sounds import SoundUnavailable
from callflow.aio.speech import SpeechUnavailable
from callflow.audio.events import AudioEvent, AudioReceived, DigitReceived, PlaybackFinished
from callflow.audio.session import UNSPECIFIED, AudioSession, Codec
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import (
    Answer,
    ApplicationWanted,
    AudioWanted,
    Effect,
    FetchDocument,
    HangUp,
    Play,
    SpeechWanted,
    StartRecording,
    StopPlaying,
    StopRecording,
    WriteReport,
)
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.alarm import Alarm
from voiceapps.rules.endings import EndReason
from voiceapps.rules.outbound import OutboundAnswer, OutboundRequest
from voiceapps.rules.records import CallAnswered, CallEnded, CallFacts, Record, WebhookFetched

log = structlog.get_logger(__name__)

BYE_ONLY = 500
"""Status of a hang-up that cannot need one, as the call was answered."""
NOWHERE = (UNSPECIFIED, 0)
TAIL_SECONDS = 0.1
"""Pause before the BYE that ends a document: telephones hold audio back for about this long, and would cut the last word."""


class CallShell:
    """Hold one call's engine, its media and its open recordings.

    Every input, from the SIP side, the media side or a finished task, goes to the engine and is followed by `_pump`.
    """

    def __init__(self, facts: CallFacts, services: Services, sip: SipSide, on_finished: Callable[[], None]) -> None:
        self._alarm = Alarm(self._on_alarm)
        self._config = services.config
        self._leaving: asyncio.TimerHandle | None = None
        self._media: MediaEndpoint | None = None
        self._on_finished = on_finished
        self._playing: dict[int, int] = {}
        self._pumping = False
        self._recorder: Recorder | None = None
        self._remote: RemoteMedia | None = None
        self._services = services
        self._session: AudioSession | None = None
        self._sip = sip
        self.engine = CallEngine(
            facts,
            services.config,
            new_uuid=lambda: str(uuid.uuid4()),
            epoch_offset=time.time() - time.monotonic(),
        )

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
        self._connect(media)
        self.engine.hold_changed(media.held, _now())
        self.engine.acknowledged(_now())
        self._pump()

    def media_changed(self, media: RemoteMedia) -> None:
        """The caller moved its audio, or holds the call."""
        self._connect(media)
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
        if effect is None and self._media:
            self._media.pump()
            effect = self.engine.next_event()
        return effect

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case WriteReport(report):
                self._put(report)
            case Answer():
                self._answer()
            case HangUp(status, reason):
                self._hang_up(status, reason)
            case ApplicationWanted() | FetchDocument() | SpeechWanted() | AudioWanted():
                self._services.spawn(self._work(self._worker(effect)))
            case _:
                self._carry_out_media(effect)

    def _carry_out_media(self, effect: Play | StopPlaying | StartRecording | StopRecording) -> None:
        match effect:
            case Play(number, ulaw):
                if self._session:
                    self._playing[self._session.play(ulaw)] = number
            case StopPlaying():
                self._playing.clear()
                if self._session:
                    self._session.stop_playing()
            case StartRecording(recording_id, max_seconds):
                call_id = self.engine.facts.call_id
                self._recorder = self._services.recorders.start(call_id, recording_id, max_seconds)
            case StopRecording(recording_id):
                recorder, self._recorder = self._recorder, None
                if recorder:
                    self._services.spawn(self._work(self._finish(recorder, recording_id)))

    def _worker(self, effect: ApplicationWanted | FetchDocument | SpeechWanted | AudioWanted) -> Coroutine[object, object, None]:
        match effect:
            case ApplicationWanted():
                return self._find_application(effect)
            case FetchDocument():
                return self._fetch(effect)
            case SpeechWanted():
                return self._speak(effect)
            case AudioWanted():
                return self._fetch_sound(effect)

    def _answer(self) -> None:
        media = MediaEndpoint(self._config.media_address)
        try:
            address = media.open()
        except OSError as error:
            sentence = f"There is no port for the call's audio. {error}"
            self.engine.hang_up(EndReason.INTERNAL_ERROR, _now(), sentence)
            return
        self._media = media
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
        if self._media:
            self._media.close()
            self._media = self._session = None
        if self.engine.finished:
            self._on_finished()

    def _connect(self, media: RemoteMedia) -> None:
        """Point the audio at the caller, or nowhere while it wants none; another codec needs another session."""
        before, self._remote = self._remote, media
        if self._media is None:
            return
        if self._session is None or before is None or before.payload_type != media.payload_type:
            self._replace_session(self._media, media)
        if self._session:
            self._session.retarget(media.address if media.listens else NOWHERE)

    def _replace_session(self, endpoint: MediaEndpoint, media: RemoteMedia) -> None:
        """Begin with a new session; what the old one was playing counts as heard."""
        cut, self._playing = list(self._playing.values()), {}
        self._session = _new_session(media)
        self._session.start(_now())
        endpoint.attach(self._session, self._on_audio)
        for number in cut:
            self.engine.playback_finished(number, _now())

    def _put(self, report: Record) -> None:
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

    # Inputs of the media side and the clock.

    def _on_alarm(self, now: float) -> None:
        self._note_media()
        self.engine.handle_timer(now)
        self._pump()

    def _on_audio(self, event: AudioEvent) -> None:
        match event:
            case AudioReceived(ulaw):
                if self._recorder:
                    self._recorder.write(ulaw)
                self.engine.audio_received(ulaw, _now())
            case DigitReceived(digit):
                self.engine.digit_received(digit, _now())
                self._pump()
            case PlaybackFinished(played):
                number = self._playing.pop(played, None)
                if number is not None:
                    self.engine.playback_finished(number, _now())
                self._pump()
            case _:
                pass

    def _note_media(self) -> None:
        if self._session and self._session.last_packet_at is not None:
            self.engine.media_heard(self._session.last_packet_at)

    # Work that takes time; each piece ends with an input for the engine.

    async def _work(self, work: Coroutine[object, object, None]) -> None:
        """Run a piece of work; a bug in it costs this call and no other."""
        try:
            await work
        except Exception:  # noqa: BLE001  # whatever it is, the call must not hang for ever
            log.exception("call_failed", call_id=self.engine.facts.call_id)
            self.engine.hang_up(EndReason.INTERNAL_ERROR, _now(), "An unexpected error ended the call.")
        self._pump()

    async def _fetch(self, fetch: FetchDocument) -> None:
        webhook, facts, at = fetch.webhook, self.engine.facts, time.time()
        request = OutboundRequest(
            url=webhook.url,
            method=webhook.method,
            body=fetch.body,
            username=webhook.username,
            password=webhook.password,
            timeout_seconds=fetch.timeout_seconds,
            account_id=facts.account_id,
        )
        answer = await self._services.client.send(request)
        self._services.put_record(_webhook_record(facts, fetch, answer, at))
        ok = answer.problem() is None
        self._services.metrics.webhook_answered(fetch.event_type, ok=ok, latency_ms=answer.latency_ms)
        self.engine.document_answered(fetch.number, answer, _now())

    async def _fetch_sound(self, wanted: AudioWanted) -> None:
        try:
            ulaw = await self._services.sounds.fetch(wanted)
        except SoundUnavailable as error:
            self.engine.sound_failed(wanted.number, EndReason.APPLICATION_ERROR, str(error), _now())
        else:
            self.engine.sound_ready(wanted.number, ulaw, _now())

    async def _find_application(self, wanted: ApplicationWanted) -> None:
        application = await self._services.find_application(wanted.application_id)
        self.engine.application_found(application, _now())

    async def _finish(self, recorder: Recorder, recording_id: str) -> None:
        try:
            finished = await recorder.finish()
        except RecordingFailed as error:
            self.engine.recording_failed(recording_id, str(error), _now())
        else:
            self.engine.recording_finished(recording_id, finished.path, finished.duration_ms, _now())

    async def _speak(self, wanted: SpeechWanted) -> None:
        try:
            ulaw = await self._services.speaker.say(wanted.markup, wanted.voice)
        except SpeechUnavailable as error:
            self.engine.sound_failed(wanted.number, EndReason.INTERNAL_ERROR, str(error), _now())
        else:
            self.engine.sound_ready(wanted.number, ulaw, _now())


def _new_session(media: RemoteMedia) -> AudioSession:
    return AudioSession(
        codec=Codec(media.payload_type),
        event_payload_type=media.event_payload_type,
        remote=media.address,
        ssrc=secrets.randbits(32),
        sequence=secrets.randbits(16),
        timestamp=secrets.randbits(32),
    )


def _now() -> float:
    return time.monotonic()


def _webhook_record(facts: CallFacts, fetch: FetchDocument, answer: OutboundAnswer, at: float) -> WebhookFetched:
    # A NUL is valid in what a stranger sends and in no database's text.
    shown = answer.body.decode("utf-8", "replace").replace("\x00", "\ufffd")
    return WebhookFetched(
        call=facts,
        event_type=fetch.event_type,
        at=at,
        url=fetch.webhook.url,
        method=fetch.webhook.method,
        request_body=json.dumps(fetch.body),
        status=answer.status,
        response_body=shown,
        latency_ms=answer.latency_ms,
        error=answer.error,
    )
