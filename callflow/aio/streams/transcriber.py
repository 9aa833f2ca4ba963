"""One transcription: recognisers hear tracks of a call, and their words go to the engine and, if the verb names one, to a WebSocket.

Each track has a recogniser of its own. One that fails ends its track; the transcription goes on as long as a track does. To end it,
`close` lets the recognisers say what they still have. A far end that closes the WebSocket, or breaks it, ends the transcription at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

import aiohttp

from callflow.aio.recognition.events import Event, Over, WordsHeard
from callflow.aio.recognition.listening import RATE, Listening
from callflow.aio.recognition.recogniser import NoRecogniser, PlaceTaken, RecognitionFailed, RecognitionUnavailable
from callflow.aio.services import Services
from callflow.aio.streams.connection import CLOSE_SECONDS, CONNECT_SECONDS, StreamEnd, broken, end_of, first, messages, say_goodbye, unless
from callflow.aio.streams.messages import start_message, stop_message, words_message
from callflow.audio.session import AudioSession
from callflow.audio.taps import Taps
from callflow.engine.effects import OpenTranscription
from callflow.engine.listening import NO_RECOGNITION
from voiceapps.daemon.outbound import SocketUnavailable
from voiceapps.rules.reports import CallFacts
from voiceapps.rules.transcripts import Clip

MAX_WAITING_WORDS = 100
"""Utterances that wait to be sent; of a far end that reads too slowly the oldest are dropped."""

OnOpen = Callable[[str], None]
"""Takes the language that is recognised."""
OnWords = Callable[[Clip], None]


class Transcriber:
    """Writes tracks of one call down; `run` once, `close` to end it."""

    def __init__(self, wanted: OpenTranscription, facts: CallFacts, session: AudioSession, services: Services) -> None:
        self._closing, self._done, self._work = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._facts = facts
        self._language = ""
        self._listenings: dict[int, tuple[Taps, Listening]] = {}
        """By the index of the track."""
        self._problem = ""
        self._services = services
        self._session = session
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING_WORDS)
        self._wanted = wanted

    def close(self) -> None:
        """Have `run` return when the last words are there."""
        self._closing.set()
        for _, listening in self._listenings.values():
            listening.finish()

    async def run(self, on_open: OnOpen, on_words: OnWords) -> StreamEnd:
        """Write down what is said, and return why that is over."""
        destination = self._wanted.verb.destination
        if not destination:
            return await self._transcribe(None, on_open, on_words)
        try:
            opening = self._services.client.open_socket(destination, username="", password="", timeout_seconds=CONNECT_SECONDS)
            socket = await unless(self._closing, opening)
        except SocketUnavailable as error:
            return StreamEnd("connection-error", str(error))
        if socket is None:
            return StreamEnd("closed")
        try:
            return await self._transcribe(socket, on_open, on_words)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return await broken(socket, error)
        finally:
            await say_goodbye(socket)

    async def _transcribe(self, socket: aiohttp.ClientWebSocketResponse | None, on_open: OnOpen, on_words: OnWords) -> StreamEnd:
        if self._closing.is_set():
            # Nobody would end a recogniser that begins now.
            return StreamEnd("closed")
        try:
            self._listen(on_words)
        except RecognitionUnavailable as error:
            self._stop_listening()
            self._services.metrics.listening_refused(error.reason)
            return StreamEnd("error", str(error))
        try:
            on_open(self._language)
            end = await (self._done.wait() if socket is None else self._serve(socket))
            return end if isinstance(end, StreamEnd) else StreamEnd("error" if self._problem else "closed", self._problem)
        finally:
            self._stop_listening()

    def _listen(self, on_words: OnWords) -> None:
        """Begin to listen to all tracks; raises RecognitionUnavailable."""
        recogniser = self._services.recogniser
        if recogniser is None:
            raise NoRecogniser(NO_RECOGNITION)
        languages = self._wanted.verb.languages
        wanted = next(filter(recogniser.knows, languages), languages[0])
        self._language = recogniser.language
        if recogniser.knows(wanted):
            recogniser.check_room(self._facts.account_id, len(self._wanted.verb.tracks))
        for index, track in enumerate(self._wanted.verb.tracks):
            taps = self._session.inbound if track == "inbound" else self._session.outbound
            listening = recogniser.listen(self._facts.account_id, wanted, (), partial(self._on_event, index, on_words))
            self._listenings[index] = taps, listening
            taps.attach(listening.hear)

    def _stop_listening(self) -> None:
        for index in list(self._listenings):
            self._detach(index).close()

    def _detach(self, index: int) -> Listening:
        taps, listening = self._listenings.pop(index)
        taps.detach(listening.hear)
        self._services.metrics.speech_dropped(listening.dropped / RATE)
        return listening

    def _on_event(self, index: int, on_words: OnWords, event: Event) -> None:
        match event:
            case WordsHeard(text, confidence, start, end):
                clip = Clip(index, text, confidence, start, end)
                on_words(clip)
                self._send_later(words_message(self._wanted.verb.tracks[index], self._language, clip))
            case Over(sentence, is_taken):
                if sentence:
                    self._services.metrics.listening_refused((PlaceTaken if is_taken else RecognitionFailed).reason)
                self._problem = self._problem or sentence or ""
                if index in self._listenings:
                    self._detach(index)
                if not self._listenings:
                    self._done.set()
            case _:
                pass

    # The WebSocket.

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> object:
        """Send words until the recognisers are done, which is None, or the far end is."""
        await socket.send_str(start_message(self._metadata(), dict(self._wanted.verb.params), "customParams"))
        end = await first(self._send(socket), self._receive(socket), self._done.wait())
        if self._done.is_set():
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._waiting:
                    await socket.send_str(self._waiting.popleft())
                await socket.send_str(stop_message(self._metadata()))
        return end

    def _send_later(self, message: str) -> None:
        if len(self._waiting) == MAX_WAITING_WORDS:
            self._services.metrics.stream_lost("slow")
        self._waiting.append(message)
        self._work.set()

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                await socket.send_str(self._waiting.popleft())

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> StreamEnd:
        """Wait for the far end's end: what it sends has no meaning."""
        async for _ in messages(socket, self._services.metrics.stream_lost):
            pass
        return end_of(socket)

    def _metadata(self) -> Mapping[str, object]:
        facts, wanted = self._facts, self._wanted
        names = {"accountId": facts.account_id, "callId": facts.call_id}
        return {**names, "realTimeTranscriptionId": wanted.transcription_id, "transcriptionName": wanted.name}
