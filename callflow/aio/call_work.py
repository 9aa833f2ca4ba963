"""The tasks of one call: webhooks, sounds, recordings, and the look-up of its application."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine

import structlog

from callflow.aio.recordings.recorder import Recorder, RecordingFailed
from callflow.aio.services import Services
from callflow.aio.sounds.fetcher import SoundUnavailable
from callflow.aio.sounds.speech_error import SpeechUnavailable
from callflow.aio.sounds.spool import NoRoomError
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import ApplicationWanted, AudioWanted, FetchDocument, SpeechWanted
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.rules.masking import masked_text, masked_url
from voiceapps.rules.reports import CallFacts, WebhookFetched

log = structlog.get_logger(__name__)

Work = Coroutine[object, object, None]


class CallWork:
    """The tasks of one call. Each ends with an input to the engine, after which `on_input` runs."""

    def __init__(self, engine: CallEngine, services: Services, on_input: Callable[[], None]) -> None:
        self._engine = engine
        self._on_input = on_input
        self._services = services

    def finish_recording(self, recorder: Recorder, recording_id: str) -> None:
        """Start a task that completes a recording's file."""
        self._start(self._finish(recorder, recording_id))

    def start(self, effect: ApplicationWanted | FetchDocument | SpeechWanted | AudioWanted) -> None:
        """Start a task that carries out an effect."""
        match effect:
            case ApplicationWanted():
                self._start(self._find_application(effect))
            case FetchDocument():
                self._start(self._fetch(effect))
            case SpeechWanted():
                self._start(self._speak(effect))
            case AudioWanted():
                self._start(self._fetch_sound(effect))

    def _start(self, work: Work) -> None:
        self._services.spawn(self._run(work))

    async def _run(self, work: Work) -> None:
        """Run one task; an unexpected error in it ends this call and no other."""
        try:
            await work
        except Exception:  # noqa: BLE001  # whatever it is, the call must end
            log.exception("call_failed")
            self._engine.hang_up(EndReason.INTERNAL_ERROR, time.monotonic(), "An unexpected error ended the call.")
        self._on_input()

    async def _fetch(self, fetch: FetchDocument) -> None:
        facts, at = self._engine.facts, time.time()
        log.debug("webhook_asked", event_type=fetch.event_type, url=masked_url(fetch.webhook.url))
        answer = await self._services.client.send(webhook_request(fetch, facts.account_id))
        log.debug("webhook_answered", event_type=fetch.event_type, status=answer.status, latency_ms=answer.latency_ms, error=answer.error)
        self._services.put_record(_webhook_record(facts, fetch, answer, at))
        ok = answer.problem() is None
        self._services.metrics.webhook_answered(fetch.event_type, ok=ok, latency_ms=answer.latency_ms)
        self._engine.document_answered(fetch.number, answer, time.monotonic())

    async def _fetch_sound(self, wanted: AudioWanted) -> None:
        try:
            ulaw = await self._services.sounds.fetch(wanted, account_id=self._engine.facts.account_id)
        except SoundUnavailable as error:
            self._engine.sound_failed(wanted.number, EndReason.APPLICATION_ERROR, str(error), time.monotonic())
        except NoRoomError as error:
            self._engine.sound_failed(wanted.number, EndReason.INTERNAL_ERROR, str(error), time.monotonic())
        else:
            self._engine.sound_ready(wanted.number, ulaw, time.monotonic())

    async def _find_application(self, wanted: ApplicationWanted) -> None:
        application = await self._services.find_application(wanted.application_id)
        log.debug("application_found" if application else "application_missing", application_id=wanted.application_id)
        self._engine.application_found(application, time.monotonic())

    async def _finish(self, recorder: Recorder, recording_id: str) -> None:
        try:
            duration_ms = await recorder.finish()
        except RecordingFailed as error:
            self._engine.recording_failed(recording_id, str(error), time.monotonic())
        except Exception:  # noqa: BLE001  # whatever it is, a recording that stays open would keep its call, and a drain, for ever
            log.exception("recording_failed", recording_id=recording_id)
            self._engine.recording_failed(recording_id, "The recording could not be completed.", time.monotonic())
        else:
            self._engine.recording_finished(recording_id, duration_ms, time.monotonic())

    async def _speak(self, wanted: SpeechWanted) -> None:
        try:
            ulaw = await self._services.speaker.say(wanted.markup, wanted.voice, account_id=self._engine.facts.account_id)
        except (SpeechUnavailable, NoRoomError) as error:
            self._engine.sound_failed(wanted.number, EndReason.INTERNAL_ERROR, str(error), time.monotonic())
        else:
            self._engine.sound_ready(wanted.number, ulaw, time.monotonic())


def webhook_request(fetch: FetchDocument, account_id: str, *, simulated: bool = False) -> OutboundRequest:
    """Return the request by which a document is fetched."""
    return OutboundRequest(
        url=fetch.webhook.url,
        method=fetch.webhook.method,
        body=fetch.body,
        username=fetch.webhook.username,
        password=fetch.webhook.password,
        timeout_seconds=fetch.timeout_seconds,
        account_id=account_id,
        simulated=simulated,
    )


def _webhook_record(facts: CallFacts, fetch: FetchDocument, answer: OutboundAnswer, at: float) -> WebhookFetched:
    # An answer may contain NUL; PostgreSQL's text may not.
    shown = masked_text(answer.text().replace("\x00", "\ufffd"))
    return WebhookFetched(
        call=facts,
        event_type=fetch.event_type,
        at=at,
        url=masked_url(fetch.webhook.url),
        method=fetch.webhook.method,
        request_body=json.dumps(fetch.recorded),
        status=answer.status,
        response_body=shown,
        latency_ms=answer.latency_ms,
        error=answer.error,
    )
