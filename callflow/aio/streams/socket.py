"""One stream: the WebSocket, what it hears and what it says.

Theory of operation. Two tasks share the connection. One sends what taps have left in a queue; when the far end reads too slowly,
the oldest frames are dropped, so that little waits here (what the connection has taken is out of our hands). The other reads: audio
goes into a `LiveAudio`, from which the leg takes a frame every 20 ms; `clear` empties it. Whoever sends too much, or what costs too
much, is read no further for a while, so that one stream's flood is no other call's gap.

The stream ends when the far end closes it, when its connection breaks, or by `close`. However it ends, `run` returns why.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

import aiohttp
import structlog

from callflow.aio.streams.connection import (
    CLOSE_SECONDS,
    CONNECT_SECONDS,
    BusyBudget,
    StreamEnd,
    broken,
    end_of,
    first,
    messages,
    say_goodbye,
    unless,
)
from callflow.aio.streams.decimator import Decimator
from callflow.aio.streams.messages import (
    PCMU_RATE,
    Clear,
    Mark,
    MessageError,
    PlayAudio,
    mark_message,
    media_message,
    parse_message,
    start_message,
    stop_message,
)
from callflow.audio.live import LiveAudio
from callflow.audio.session import AudioSession
from callflow.engine.effects import OpenStream
from voiceapps.daemon.outbound import SocketUnavailable, WebhookClient
from voiceapps.rules.reports import CallFacts

MAX_WAITING_FRAMES = 100
"""Frames of one stream that wait to be sent: two seconds of one track."""
MAX_LOGGED_FAULTS = 5
READ_AT_ONCE = 16 * 1024
"""Octets of a message that are read at once: a longer one would keep all calls waiting for milliseconds."""

log = structlog.get_logger(__name__)


class StreamSocket:
    """One stream of a call; `run` once, `close` to end it before the far end does."""

    def __init__(
        self, wanted: OpenStream, facts: CallFacts, session: AudioSession, client: WebhookClient, count: Callable[[str], None]
    ) -> None:
        self._client = client
        self._closing = asyncio.Event()
        self._count = count
        """Counts what is dropped, by its reason."""
        self._facts = facts
        self._faults = 0
        self._idle: asyncio.Future[None] | None = None
        """Done as soon as there is something to send: at less cost than an event, as that is so 50 times a second."""
        self._live = LiveAudio()
        self._decimators: dict[int, Decimator] = {}
        self._sequence = 0
        self._session = session
        self._taps = [
            (session.inbound if track == "inbound" else session.outbound, partial(self._hear, track)) for track in wanted.verb.tracks
        ]
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_WAITING_FRAMES)
        self._wanted = wanted

    def close(self) -> None:
        """Have `run` say goodbye and return."""
        self._closing.set()

    async def run(self, on_open: Callable[[], None]) -> StreamEnd:
        """Connect, serve the stream, and return why it is over."""
        verb = self._wanted.verb
        try:
            opening = self._client.open_socket(
                verb.destination, username=verb.username, password=verb.password, timeout_seconds=CONNECT_SECONDS
            )
            socket = await unless(self._closing, opening)
        except SocketUnavailable as error:
            return StreamEnd("connection-error", str(error))
        if socket is None:
            return StreamEnd("closed")
        try:
            on_open()
            return await self._serve(socket)
        finally:
            await say_goodbye(socket)

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> StreamEnd:
        self._attach()
        try:
            await socket.send_str(start_message(self._metadata(), dict(self._wanted.verb.params)))
            end = await first(self._send(socket), self._receive(socket), self._closing.wait())
            if self._closing.is_set():
                async with asyncio.timeout(CLOSE_SECONDS):
                    await socket.send_str(stop_message(self._metadata()))
            return end if isinstance(end, StreamEnd) else StreamEnd("closed")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return await broken(socket, error)
        finally:
            self._detach()

    # What is heard.

    def _attach(self) -> None:
        for taps, tap in self._taps:
            taps.attach(tap)
        if self._wanted.verb.bidirectional:
            self._session.join(self._live)

    def _detach(self) -> None:
        for taps, tap in self._taps:
            taps.detach(tap)
        self._session.leave(self._live)

    def _hear(self, track: str, ulaw: bytes) -> None:
        if len(self._waiting) == MAX_WAITING_FRAMES:
            self._count("slow")
        self._waiting.append((track, ulaw))
        self._rouse()

    def _rouse(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            if not self._waiting and not self._live.reached:
                self._idle = asyncio.get_running_loop().create_future()
                await self._idle
            while self._waiting:
                track, ulaw = self._waiting.popleft()
                self._sequence += 1
                await socket.send_frame(media_message(track, self._sequence, ulaw), aiohttp.WSMsgType.TEXT)
            while self._live.reached:
                await socket.send_str(mark_message(self._live.reached.pop(0)))

    # What is said.

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> StreamEnd:
        budget = BusyBudget()
        async for message in messages(socket, self._count):
            delay = budget.charge(await self._take(message))
            if delay:
                self._count("flood")
                await asyncio.sleep(delay)
        return end_of(socket)

    async def _take(self, message: aiohttp.WSMessage) -> float:
        """Do what a message says, and return what that has cost in processor time; a long one is read in a thread."""
        began, elsewhere = time.thread_time(), 0.0
        try:
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise MessageError("It is binary: messages are texts.")
            if len(message.data) > READ_AT_ONCE:
                received, elsewhere = await asyncio.to_thread(_timed, self._read, message.data)
                began = time.thread_time()
                if isinstance(received, MessageError):
                    raise received
            else:
                received = self._read(message.data)
            self._obey(received)
        except MessageError as error:
            self._count("fault")
            self._faults += 1
            if self._faults <= MAX_LOGGED_FAULTS:
                log.info("stream_message_ignored", stream=self._wanted.name, reason=str(error))
        return elsewhere + time.thread_time() - began

    def _read(self, text: str) -> PlayAudio | Clear | Mark:
        """Return what a message says, its audio as µ-law; raises MessageError."""
        if not self._wanted.verb.bidirectional:
            raise MessageError("The stream is unidirectional: nothing is played.")
        received = parse_message(text)
        if isinstance(received, PlayAudio) and received.rate is not None:
            return PlayAudio(self._decimated(received.audio, received.rate), None)
        return received

    def _obey(self, received: PlayAudio | Clear | Mark) -> None:
        match received:
            case PlayAudio(ulaw):
                if not self._live.write(ulaw):
                    self._count("full")
            case Clear():
                self._live.clear()
                self._decimators.clear()
            case Mark(name):
                if not self._live.mark(name):
                    raise MessageError("Too many marks wait.")
        if self._live.reached:
            self._rouse()

    def _decimated(self, audio: bytes, rate: int) -> bytes:
        """Return linear samples as µ-law."""
        if rate not in self._decimators:
            self._decimators[rate] = Decimator(rate)
        return self._decimators[rate].ulaw(audio)

    def _metadata(self) -> Mapping[str, object]:
        tracks = [{"name": track, "mediaFormat": {"encoding": "audio/PCMU", "sampleRate": PCMU_RATE}} for track in self._wanted.verb.tracks]
        facts = self._facts
        names = {
            "accountId": facts.account_id,
            "callId": facts.call_id,
            "streamId": self._wanted.stream_id,
            "streamName": self._wanted.name,
        }
        return {**names, "tracks": tracks}


def _timed(read: Callable[[str], PlayAudio | Clear | Mark], text: str) -> tuple[PlayAudio | Clear | Mark | MessageError, float]:
    """Return what a message says, or what is wrong with it, and what reading it has cost this thread."""
    began = time.thread_time()
    try:
        found: PlayAudio | Clear | Mark | MessageError = read(text)
    except MessageError as error:
        found = error
    return found, time.thread_time() - began
