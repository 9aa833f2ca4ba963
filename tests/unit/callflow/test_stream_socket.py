"""Streams over real WebSockets: what is heard, what is said, and how they end."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import aiohttp
import numpy as np
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from callflow.aio.streams import connection
from callflow.aio.streams import socket as module
from callflow.aio.streams.connection import BusyBudget, StreamEnd
from callflow.aio.streams.socket import MAX_WAITING_FRAMES, StreamSocket
from callflow.audio.live import LiveAudio
from callflow.audio.session import AudioSession
from callflow.bxml.verbs.streams import StartStream
from callflow.engine.effects import OpenStream
from mediarelay.rtp.g711 import ulaw_to_pcm16
from tests.unit.audio.test_session import agreement
from tests.unit.engine.driver import FACTS
from voiceapps.daemon.outbound import WebhookClient

FRAME = bytes(range(160))
VERB = StartStream("agent", "", "me", "secret", True, ("inbound", "outbound"), (("order", "7"),), None, 1)
PCM_24 = "audio/pcm;rate=24000;channels=1;bit-depth=16;endian=little;encoding=signed"


class Agent:
    """The far end of a stream, and the leg that it is connected to."""

    def __init__(self) -> None:
        self.client = WebhookClient(allow_private=True, signing_key=b"k" * 32)
        self.heard: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.losses: Counter[str] = Counter()
        self.opened = asyncio.Event()
        self.requests: list[web.Request] = []
        self.session = AudioSession(agreement(), ssrc=5, sequence=1, timestamp=0)
        self.socket: StreamSocket | None = None
        self.sockets: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        application = web.Application()
        application.router.add_get("/voice", self._serve)
        self._server = TestServer(application)
        self._released = asyncio.Event()

    async def open(self) -> None:
        await self._server.start_server()

    async def close(self) -> None:
        self._released.set()
        await self.client.close()
        await self._server.close()

    def call(self, path: str = "/voice", **changes: object) -> asyncio.Task[StreamEnd]:
        """Start a stream and return its task."""
        destination = str(self._server.make_url(path)).replace("http", "ws", 1)
        verb = replace(VERB, destination=destination, **changes)  # type: ignore[arg-type]  # the test names the fields
        wanted = OpenStream("s-1", "agent", verb)
        self.socket = StreamSocket(wanted, FACTS, self.session, self.client, lambda reason: self.losses.update([reason]))
        return asyncio.create_task(self.socket.run(self.opened.set))

    async def next(self, event_type: str) -> dict[str, object]:
        async with asyncio.timeout(10):
            while True:
                message = await self.heard.get()
                if message["eventType"] == event_type:
                    return message

    async def say(self, **message: object) -> web.WebSocketResponse:
        async with asyncio.timeout(10):
            socket = await self.sockets.get()
        self.sockets.put_nowait(socket)
        await socket.send_str(json.dumps(message))
        return socket

    async def play(self, audio: bytes, content_type: str = "audio/pcmu") -> None:
        await self.say(eventType="playAudio", media={"contentType": content_type, "payload": base64.b64encode(audio).decode()})

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0)

    def spoken(self) -> bytes:
        """Return what the leg would say, until it is silent."""
        found = b""
        while (frame := self._speaker.take()) is not None:
            found += frame
        return found

    @property
    def waiting(self) -> int:
        return len(self._speaker) if self.session._sender.live else 0

    @property
    def _speaker(self) -> LiveAudio:
        (speaker,) = self.session._sender.live
        return speaker

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        self.requests.append(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.put_nowait(socket)
        await self.reads.wait()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.heard.put_nowait(json.loads(message.data))
        return socket


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    agent = Agent()
    await agent.open()
    yield agent
    await agent.close()


async def test_it_hears_each_track_from_the_start_to_the_stop(agent: Agent) -> None:
    stream = agent.call()
    start = await agent.next("start")
    tracks = [{"name": name, "mediaFormat": {"encoding": "audio/PCMU", "sampleRate": 8000}} for name in ("inbound", "outbound")]
    names = {"accountId": "9900000", "callId": FACTS.call_id, "streamId": "s-1", "streamName": "agent"}
    assert start == {"eventType": "start", "metadata": {**names, "tracks": tracks}, "streamParams": {"order": "7"}}
    assert agent.requests[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    for number in range(5):
        agent.session.inbound(bytes([number]) * 160)
        agent.session.outbound(bytes([100 + number]) * 160)
    heard = [await agent.next("media") for _ in range(10)]
    assert [message["sequenceNumber"] for message in heard] == [str(number) for number in range(1, 11)]
    for track, first in (("inbound", 0), ("outbound", 100)):
        payloads = [base64.b64decode(str(message["payload"])) for message in heard if message["track"] == track]
        assert payloads == [bytes([first + number]) * 160 for number in range(5)]
    assert agent.socket
    agent.socket.close()
    assert await stream == StreamEnd("closed")
    assert (await agent.next("stop"))["metadata"] == start["metadata"]
    assert not agent.session.inbound
    assert not agent.session.outbound


async def test_it_speaks_and_falls_silent(agent: Agent) -> None:
    stream = agent.call()
    await agent.play(FRAME * 2 + b"tail")
    await agent.until(lambda: agent.waiting == 324)
    assert agent.spoken() == FRAME * 2
    await agent.play(FRAME)
    await agent.say(eventType="mark", name="heard")
    await agent.until(lambda: agent.waiting == 164)
    agent.spoken()
    agent.session.outbound(FRAME)
    assert await agent.next("media")
    await agent.play(FRAME * 100)
    await agent.say(eventType="mark", name="cut")
    await agent.say(eventType="clear")
    assert await agent.next("mark") == {"eventType": "mark", "name": "heard"}
    assert await agent.next("mark") == {"eventType": "mark", "name": "cut"}
    assert agent.spoken() == b""
    await (await agent.sockets.get()).close()
    assert await stream == StreamEnd("closed")
    assert not agent.session._sender.live


async def test_linear_audio_becomes_that_of_the_call(agent: Agent) -> None:
    agent.call()
    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype("<i2").tobytes()
    for at in range(0, len(tone), 960):
        await agent.play(tone[at : at + 960], PCM_24)
    await agent.until(lambda: agent.waiting >= 7_600)
    samples = np.frombuffer(ulaw_to_pcm16(agent.spoken()), np.int16).astype(float)
    power = np.abs(np.fft.rfft(samples[400:7_400] * np.hanning(7_000)))
    assert power.argmax() * 8_000 / 7_000 == pytest.approx(440, abs=2)
    # No piece of it clicks: the strongest sample is the tone's.
    assert np.abs(samples).max() == pytest.approx(8_000, rel=0.05)


async def test_a_stream_in_one_direction_is_not_spoken_to(agent: Agent) -> None:
    agent.call(bidirectional=False)
    await agent.play(FRAME)
    await agent.until(lambda: agent.losses["fault"] == 1)
    assert not agent.session._sender.live


async def test_what_makes_no_sense_is_ignored(agent: Agent) -> None:
    stream = agent.call()
    socket = await agent.say(eventType="sing")
    await socket.send_bytes(b"\x00" * 100)
    await socket.send_str("{")
    await agent.play(FRAME)
    await agent.until(lambda: agent.waiting == 160)
    assert agent.losses == {"fault": 3}
    assert not stream.done()


async def test_a_slow_far_end_misses_the_oldest(agent: Agent) -> None:
    agent.reads.clear()
    agent.call()
    await agent.until(lambda: agent.session.inbound)
    # The kernel's buffers and ours take some seconds; then frames are dropped.
    for number in range(200_000):
        agent.session.inbound(number.to_bytes(4, "big") * 40)
        if number % 50 == 0:
            await asyncio.sleep(0)
        if agent.losses["slow"] > 10 * MAX_WAITING_FRAMES:
            break
    assert agent.losses["slow"] > 10 * MAX_WAITING_FRAMES
    last = number
    agent.reads.set()
    frames: list[int] = []
    async with asyncio.timeout(20):
        while not frames or frames[-1] != last:
            frames.append(int.from_bytes(base64.b64decode(str((await agent.next("media"))["payload"]))[:4], "big"))
    assert frames == sorted(frames)
    assert frames[-MAX_WAITING_FRAMES:] == list(range(last - MAX_WAITING_FRAMES + 1, last + 1))


async def test_a_flood_is_held_up_and_bounded(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_OCTETS_A_SECOND", 20_000)
    agent.call()
    for _ in range(4):
        await agent.play(bytes(10_000))
    await agent.until(lambda: agent.losses["flood"])
    assert agent.waiting < 40_000
    await agent.until(lambda: agent.waiting == 40_000)


@pytest.mark.parametrize("message", ['{"eventType":[' + "0," * 200_000 + "0]}", '{"eventType":"clear"' + " " * 500_000 + "}"])
async def test_who_costs_much_is_read_no_further_for_a_while(agent: Agent, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_BUSY_SECONDS", 0.0001)
    monkeypatch.setattr(connection, "BUSY_SHARE", 0.1)
    agent.call()
    await agent.play(FRAME * 10)
    await agent.until(lambda: agent.waiting)
    agent.losses.clear()
    socket = await agent.sockets.get()
    await socket.send_str(message)
    await agent.until(lambda: agent.losses["flood"])


def test_a_far_end_has_so_much_processor_time_and_then_its_share() -> None:
    budget = BusyBudget()
    assert [budget.charge(connection.MAX_BUSY_SECONDS / 2) for _ in range(2)] == [0.0, 0.0]
    assert budget.charge(0.01) == pytest.approx(0.01 / connection.BUSY_SHARE, rel=0.2)


async def test_a_long_message_is_audio_as_any_other(agent: Agent) -> None:
    agent.call()
    await agent.play(bytes(240_000), PCM_24)
    await agent.until(lambda: agent.waiting > 39_000)
    assert agent.losses["fault"] == 0


async def test_a_message_that_is_too_long_ends_the_stream(agent: Agent) -> None:
    stream = agent.call()
    await agent.play(bytes(2 * 1024 * 1024))
    end = await stream
    assert end == StreamEnd("error", "The far end broke the protocol (1009).")


@pytest.mark.parametrize(("path", "sentence"), [("/nothing", "It answered 404."), ("/voice\x7f", "It answered 404.")])
async def test_a_destination_that_is_no_socket(agent: Agent, path: str, sentence: str) -> None:
    assert await agent.call(path) == StreamEnd("connection-error", sentence)
    assert not agent.opened.is_set()


async def test_a_destination_that_nobody_serves(agent: Agent) -> None:
    stream = agent.call()
    await agent._server.close()
    end = await stream
    assert end.cause == "connection-error"
    assert "refused" in end.sentence.lower()


async def test_a_private_destination_is_refused(agent: Agent) -> None:
    await agent.client.close()
    agent.client = WebhookClient(allow_private=False, signing_key=b"k" * 32)
    end = await agent.call()
    assert "127.0.0.1 is not a public address" in end.sentence
    assert agent.requests == []


async def test_it_can_be_closed_while_it_connects(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await agent._released.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    wanted = OpenStream("s-1", "agent", replace(VERB, destination=f"ws://{host}:{port}/"))
    socket = StreamSocket(wanted, FACTS, agent.session, agent.client, lambda _: None)
    stream = asyncio.create_task(socket.run(agent.opened.set))
    await asyncio.sleep(0)
    socket.close()
    assert await stream == StreamEnd("closed")
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.05)
    slow = StreamSocket(wanted, FACTS, agent.session, agent.client, lambda _: None)
    end = await slow.run(agent.opened.set)
    assert end == StreamEnd("connection-error", f"No connection to {host}:{port} within 0.05 s.")
    agent._released.set()
    server.close()


@pytest.mark.parametrize("frame", [b"\x81\x00", b"\x89\x00", b"\x8a\x00"])
async def test_a_flood_of_tiny_messages_is_a_flood(agent: Agent, frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty texts, pings and pongs: each costs its time."""
    monkeypatch.setattr(connection, "MAX_OCTETS_A_SECOND", 1_000 * connection.MESSAGE_OCTETS)
    agent.call()
    await agent.sockets.get()
    transport = agent.requests[0].transport
    assert transport
    transport.write(frame * 5_000)
    await agent.until(lambda: agent.losses["flood"])
    assert agent.losses["fault"] <= 1_000


async def test_whatever_else_the_process_does_gets_its_turn(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_OCTETS_A_SECOND", 10**9)
    monkeypatch.setattr(connection, "MAX_BUSY_SECONDS", 10**9)
    agent.call()
    await agent.sockets.get()
    transport = agent.requests[0].transport
    assert transport
    transport.write(b"\x81\x00" * 20_000)
    rounds = 0
    while agent.losses["fault"] < 20_000:
        await asyncio.sleep(0)
        rounds += 1
    assert rounds > 20_000 / connection.MESSAGES_AT_ONCE


async def test_pings_are_answered(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: asyncio.Queue[bytes] = asyncio.Queue()
    pong = aiohttp.ClientWebSocketResponse.pong

    async def noted(socket: aiohttp.ClientWebSocketResponse, message: bytes = b"") -> None:
        await pong(socket, message)
        answered.put_nowait(message)

    monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "pong", noted)
    agent.call()
    await (await agent.sockets.get()).ping(b"there?")
    assert await asyncio.wait_for(answered.get(), 10) == b"there?"


async def test_a_connection_that_breaks_is_no_goodbye(agent: Agent) -> None:
    stream = agent.call()
    await agent.opened.wait()
    transport = agent.requests[0].transport
    assert transport
    transport.abort()
    assert await stream == StreamEnd("connection-error", "The connection broke.")


async def test_a_handshake_that_is_redirected_goes_nowhere(agent: Agent) -> None:
    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/voice")

    agent._server.app.router._frozen = False
    agent._server.app.router.add_get("/away", away)
    assert await agent.call("/away") == StreamEnd("connection-error", "It answered 302.")
    assert agent.requests == []


async def test_a_socket_that_opens_in_the_moment_it_is_closed_is_closed(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets, open_socket = [], agent.client.open_socket

    async def opened_and_closed(*arguments: object, **named: object) -> object:
        sockets.append(await open_socket(*arguments, **named))  # type: ignore[arg-type]  # as they came
        assert agent.socket
        agent.socket.close()
        return sockets[0]

    monkeypatch.setattr(agent.client, "open_socket", opened_and_closed)
    assert (await agent.call()).cause == "closed"
    assert sockets[0].closed
