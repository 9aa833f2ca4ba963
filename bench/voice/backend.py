"""`python -m bench.voice.backend`: the customer's server: documents, a sound, and a WebSocket that hears.

It prints its port as a line of JSON. `/figures` tells how long each caller of webhooks took from one answer of ours to its next
request, and how many messages of streams have come.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import time
import wave
from array import array
from collections import defaultdict

from aiohttp import WSMsgType, web

from bench.program import say
from bench.voice import hostile
from bench.voice.documents import TONE_SECONDS, document_for, next_document
from bench.voice.tally import TICKS_A_SECOND

HERTZ, LEVEL = 440, 8_000
FRESH_SECONDS = 3_600
"""How long the sound may be played again without being fetched, as an operator of many calls would allow."""
RAW = "raw"


def tone(seconds: float) -> bytes:
    """Return a wav of 16-bit samples at 8 kHz."""
    second = array("h", (round(LEVEL * math.sin(2 * math.pi * HERTZ * n / TICKS_A_SECOND)) for n in range(TICKS_A_SECOND)))
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, TICKS_A_SECOND, 0, "NONE", ""))
        file.writeframes(second.tobytes() * math.ceil(seconds))
    return made.getvalue()


class Backend:
    """The handlers, and what they have seen."""

    def __init__(self) -> None:
        self._answered: dict[str, float] = {}
        """When the last answer to each caller was ready."""
        self._messages = 0
        self._tone = tone(TONE_SECONDS)
        self._turns: defaultdict[str, list[float]] = defaultdict(list)
        """By kind of caller, the seconds from each answer to the next request."""

    def application(self) -> web.Application:
        """Return the server's application."""
        made = web.Application()
        made.add_routes(
            [
                web.post("/initiate", self._initiate),
                web.post("/again/{left}", self._go_on),
                web.get("/tone.wav", self._sound),
                web.get("/stream", self._hear),
                web.get("/figures", self._figures),
                web.route("*", "/hostile/{name}", hostile.answer),
                web.get("/hostile/socket/{name}", hostile.open_socket),
            ]
        )
        return made

    async def _initiate(self, request: web.Request) -> web.Response:
        event = await request.json()
        return self._document(str(event["callId"]), document_for(event["from"], request.host))

    async def _go_on(self, request: web.Request) -> web.Response:
        came = time.perf_counter()
        caller = str((await request.json())["callId"])
        if caller in self._answered:
            self._turns[RAW if caller == RAW else "call"].append(came - self._answered[caller])
        return self._document(caller, next_document(int(request.match_info["left"])))

    def _document(self, caller: str, document: str) -> web.Response:
        response = web.Response(text=document, content_type="application/xml")
        self._answered[caller] = time.perf_counter()
        return response

    async def _sound(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._tone, content_type="audio/wav", headers={"Cache-Control": f"max-age={FRESH_SECONDS}"})

    async def _hear(self, request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        async for message in stream:
            self._messages += message.type is WSMsgType.TEXT
        return stream

    async def _figures(self, _request: web.Request) -> web.Response:
        turns, self._turns = self._turns, defaultdict(list)
        return web.json_response({"at": time.monotonic(), "messages": self._messages, "turns": turns})


async def serve() -> None:
    """Serve until the process ends, and say where."""
    runner = web.AppRunner(Backend().application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    say(json.dumps({"port": runner.addresses[0][1]}))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
