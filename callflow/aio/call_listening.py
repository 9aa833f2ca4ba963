"""What a call listens for: a recogniser's process hears the caller, and the engine hears what it understands."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog

from callflow.aio.recognition.events import Event, Over, SpeechBegan, SpeechEnded, WordsHeard, WordsLacking
from callflow.aio.recognition.listening import RATE, Listening
from callflow.aio.recognition.recogniser import NoRecogniser, PlaceTaken, RecognitionFailed, RecognitionUnavailable
from callflow.aio.services import Services
from callflow.audio.session import AudioSession
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import Listen, StopListening
from callflow.engine.listening import NO_RECOGNITION

log = structlog.get_logger(__name__)


class CallListening:
    """The listenings of one call; `on_input` runs after each input to the engine."""

    def __init__(self, engine: CallEngine, services: Services, on_input: Callable[[], None]) -> None:
        self._engine = engine
        self._listenings: dict[int, tuple[Listening, AudioSession]] = {}
        self._on_input = on_input
        self._services = services

    def carry_out(self, effect: Listen | StopListening, session: AudioSession | None) -> None:
        """Begin to listen to a call's audio, or end that."""
        match effect:
            case Listen(number) if session is not None:
                try:
                    self._start(effect, session)
                except RecognitionUnavailable as error:
                    self._refuse(number, error)
            case StopListening(number):
                listening = self._detach(number)
                if listening is not None:
                    listening.close()

    def _start(self, wanted: Listen, session: AudioSession) -> None:
        recogniser = self._services.recogniser
        if recogniser is None:
            raise NoRecogniser(NO_RECOGNITION)
        listening = recogniser.listen(
            self._engine.facts.account_id, wanted.language, wanted.phrases, partial(self._on_event, wanted.number)
        )
        self._listenings[wanted.number] = listening, session
        session.inbound.attach(listening.hear)
        log.debug("listening_began", language=wanted.language, phrases=len(wanted.phrases))

    def _on_event(self, number: int, event: Event) -> None:
        now, listenings = time.monotonic(), self._engine.listenings
        match event:
            case SpeechBegan():
                listenings.speech_began(number, now)
            case SpeechEnded():
                listenings.speech_ended(number, now)
            case WordsHeard(text, confidence):
                listenings.words_heard(number, text, confidence, now)
            case WordsLacking(words):
                listenings.words_lacking(number, words, now)
            case Over():
                self._over(number, event)
        self._on_input()

    def _over(self, number: int, over: Over) -> None:
        self._detach(number)
        if over.sentence is None:
            self._engine.listenings.listening_over(number, None, time.monotonic())
        else:
            self._refuse(number, (PlaceTaken if over.is_taken else RecognitionFailed)(over.sentence))

    def _refuse(self, number: int, error: RecognitionUnavailable) -> None:
        log.info("listening_refused", reason=error.reason, error=str(error))
        self._services.metrics.listening_refused(error.reason)
        self._engine.listenings.listening_over(number, str(error), time.monotonic())

    def _detach(self, number: int) -> Listening | None:
        listening, session = self._listenings.pop(number, (None, None))
        if listening is not None and session is not None:
            session.inbound.detach(listening.hear)
            self._services.metrics.speech_dropped(listening.dropped / RATE)
        return listening
