"""The transcriptions of one call: each in a task, which tells the engine how it began, what was said and how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import structlog

from callflow.aio.services import Services
from callflow.aio.streams.connection import StreamEnd
from callflow.aio.streams.transcriber import Transcriber
from callflow.audio.session import AudioSession
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import CloseTranscription, OpenTranscription

log = structlog.get_logger(__name__)


class CallTranscriptions:
    """The transcriptions of one call; `on_input` runs after each input to the engine."""

    def __init__(self, engine: CallEngine, services: Services, on_input: Callable[[], None]) -> None:
        self._engine = engine
        self._on_input = on_input
        self._services = services
        self._transcribers: dict[str, Transcriber] = {}

    def carry_out(self, effect: OpenTranscription | CloseTranscription, session: AudioSession | None) -> None:
        """Begin to write down a call's audio, or end that."""
        match effect:
            case OpenTranscription(number) if session is not None:
                self._transcribers[number] = Transcriber(effect, self._engine.facts, session, self._services)
                self._services.spawn(self._run(number, self._transcribers[number]))
            case CloseTranscription(number) if number in self._transcribers:
                self._transcribers[number].close()

    async def _run(self, number: str, transcriber: Transcriber) -> None:
        end = StreamEnd("error", "An unexpected error ended the transcription.")
        try:
            end = await transcriber.run(partial(self._on_open, number), partial(self._engine.transcriptions.words_heard, number))
        except asyncio.CancelledError:
            end = StreamEnd("closed", "The node that held the call was stopped.")
            raise
        except Exception:  # whatever it is, the transcription is over, and the call goes on
            log.exception("transcription_failed")
        finally:
            del self._transcribers[number]
            log.info("transcription_over", transcription=number, cause=end.cause, reason=end.sentence)
            self._engine.transcriptions.over(number, end.cause, end.sentence, time.monotonic())
            self._on_input()

    def _on_open(self, number: str, language: str) -> None:
        log.info("transcription_began", transcription=number, language=language)
        self._engine.transcriptions.language_chosen(number, language)
        self._engine.transcriptions.opened(number, time.monotonic())
        self._on_input()
