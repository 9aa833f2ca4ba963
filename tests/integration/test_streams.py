"""A voice agent by WebSocket holds a conversation with a telephone; what is heard is measured at both ends."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from callflow.aio.phone import Phone, PhoneCall
from callflow.audio.silence import is_loud
from tests.integration.test_calls import TONE
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet

DOCUMENT = """<Response>
<StartStream name="agent" mode="bidirectional" destination="{url}" tracks="inbound" streamEventUrl="/stream"/>
<StopStream name="agent" wait="true"/>
<SpeakSentence>Goodbye.</SpeakSentence>
</Response>"""


class Agent:
    """The agent's server: what it heard, and the socket by which it speaks."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.marks: list[str] = []
        self.start: dict[str, object] = {}
        self.gone = False
        self.news = asyncio.Event()
        self._socket: web.WebSocketResponse | None = None
        application = web.Application()
        application.router.add_get("/voice", self._serve)
        self.server = TestServer(application)

    async def say(self, **message: object) -> None:
        assert self._socket is not None
        await self._socket.send_str(json.dumps(message))

    async def play(self, ulaw: bytes) -> None:
        await self.say(eventType="playAudio", media={"contentType": "audio/pcmu", "payload": base64.b64encode(ulaw).decode()})

    async def leave(self) -> None:
        assert self._socket is not None
        await self._socket.close()

    async def until(self, condition: object) -> None:
        async with asyncio.timeout(15):
            while not condition():  # type: ignore[operator]  # a function without arguments
                self.news.clear()
                await self.news.wait()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        self._socket = web.WebSocketResponse()
        await self._socket.prepare(request)
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                self._take(json.loads(message.data))
        self.gone = True
        self.news.set()
        return self._socket

    def _take(self, message: dict[str, object]) -> None:
        match message["eventType"]:
            case "start":
                self.start = message
            case "media":
                self.heard += base64.b64decode(str(message["payload"]))
            case "mark":
                self.marks.append(str(message["name"]))
        self.news.set()


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    agent = Agent()
    await agent.server.start_server()
    yield agent
    await agent.server.close()


@pytest.fixture
async def call(fleet: Fleet, backend: TestBackend, agent: Agent) -> AsyncIterator[PhoneCall]:
    backend.documents["/initiate"] = DOCUMENT.format(url=str(agent.server.make_url("/voice")).replace("http", "ws", 1))
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    call = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    yield call
    await call.hang_up()
    await phone.close()


async def test_an_agent_hears_and_speaks_until_it_leaves(agent: Agent, call: PhoneCall, backend: TestBackend) -> None:
    await agent.until(lambda: agent.start)
    await call.play(TONE)
    await agent.until(lambda: TONE in bytes(agent.heard))
    await agent.play(TONE)
    await agent.say(eventType="mark", name="said")
    await agent.until(lambda: agent.marks == ["said"])
    await call.wait_silence(0.2, timeout=10)
    assert TONE in bytes(call.heard)
    await agent.leave()
    # The next verb runs, and then the call is over.
    assert await call.wait_ended(15) == "remote"
    goodbye = bytes(call.heard[call.heard.find(TONE) + len(TONE) :])
    assert any(is_loud(goodbye[at : at + 160]) for at in range(0, len(goodbye), 160))
    (started,) = await asyncio.to_thread(backend.wait, "mediaStreamStarted")
    (stopped,) = await asyncio.to_thread(backend.wait, "mediaStreamStopped")
    assert started["mediaStream"]["name"] == "agent"
    assert stopped["cause"] == "closed"


async def test_an_agent_that_is_interrupted_falls_silent(agent: Agent, call: PhoneCall) -> None:
    await agent.until(lambda: agent.start)
    await agent.play(TONE * 10)
    await call.wait_heard(0.5, timeout=10)
    await agent.say(eventType="clear")
    await agent.say(eventType="mark", name="cut")
    await agent.until(lambda: agent.marks == ["cut"])
    await call.wait_silence(0.3, timeout=5)
    loud = sum(is_loud(bytes(call.heard[at : at + 160])) for at in range(0, len(call.heard), 160))
    assert loud * 0.02 < 10
    await call.hang_up()
    await agent.until(lambda: agent.gone)
