"""The streams of one call: each in a task, which tells the engine how it began and ended."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from callflow.aio.services import Services
from callflow.aio.streams.connection import StreamEnd
from callflow.aio.streams.socket import StreamSocket
from callflow.audio.session import AudioSession
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import CloseStream, OpenStream
from voiceapps.rules.masking import masked_url

log = structlog.get_logger(__name__)


class CallStreams:
    """The streams of one call; `on_input` runs after each input to the engine."""

    def __init__(self, engine: CallEngine, services: Services, on_input: Callable[[], None]) -> None:
        self._engine = engine
        self._on_input = on_input
        self._services = services
        self._sockets: dict[str, StreamSocket] = {}

    def carry_out(self, effect: OpenStream | CloseStream, session: AudioSession | None) -> None:
        """Start a stream of a call's audio, or end one."""
        match effect:
            case OpenStream() if session is not None:
                self._open(effect, session)
            case CloseStream(stream_id) if stream_id in self._sockets:
                self._sockets[stream_id].close()

    def _open(self, wanted: OpenStream, session: AudioSession) -> None:
        socket = StreamSocket(wanted, self._engine.facts, session, self._services.client, self._services.metrics.stream_lost)
        self._sockets[wanted.stream_id] = socket
        self._services.spawn(self._run(wanted, socket))

    async def _run(self, wanted: OpenStream, socket: StreamSocket) -> None:
        def on_open() -> None:
            log.info("stream_opened", stream=wanted.name, destination=masked_url(wanted.verb.destination))
            self._engine.streams.opened(wanted.stream_id, time.monotonic())
            self._on_input()

        end = StreamEnd("error", "An unexpected error ended the stream.")
        try:
            end = await socket.run(on_open)
        except Exception:  # whatever it is, the stream is over, and the call goes on
            log.exception("stream_failed")
        finally:
            del self._sockets[wanted.stream_id]
            log.info("stream_over", stream=wanted.name, cause=end.cause, reason=end.sentence)
            self._engine.streams.over(wanted.stream_id, end.cause, end.sentence, time.monotonic())
            self._on_input()
