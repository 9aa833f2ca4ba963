"""Servers that harm who asks them: each fails in its own way, as a webhook, as a sound and as a WebSocket.

A customer's server may do all of this, by fault or by intent. What it does to that customer's call is another matter; other calls hear
none of it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache

from aiohttp import WSCloseCode, web

LARGE = 10 * 1024 * 1024
BOMB = 256 * 1024 * 1024
"""Octets that a small compressed body becomes."""
DRIP_SECONDS = 0.05
FLOOD_MESSAGES = 200_000
_AS_OFTEN = 3
"""A second call of the same kind may meet what the first one left."""
_LONG = "This goes on and on, for as long as anybody listens to it. " * 150

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def hang(_request: web.Request) -> web.StreamResponse:
    """Answer nothing."""
    await asyncio.sleep(3_600)
    raise web.HTTPGone


async def drop(request: web.Request) -> web.StreamResponse:
    """Break the connection in the middle of an answer."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"<Response>")
    if request.transport is not None:
        request.transport.abort()
    return response


async def fail(_request: web.Request) -> web.StreamResponse:
    """Answer 500."""
    raise web.HTTPInternalServerError


async def swell(_request: web.Request) -> web.StreamResponse:
    """Answer ten megabytes."""
    return web.Response(body=b"<" * LARGE, content_type="application/xml")


async def burst(_request: web.Request) -> web.StreamResponse:
    """Answer a megabyte that becomes a quarter of a gigabyte."""
    return web.Response(body=_bomb(), content_type="application/xml", headers={"Content-Encoding": "gzip"})


async def drip(request: web.Request) -> web.StreamResponse:
    """Answer an octet at a time, without end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(DRIP_SECONDS)


async def rave(_request: web.Request) -> web.StreamResponse:
    """Answer an mp3 that is none."""
    return web.Response(body=b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\xff\xfb\x90\x00" * 250_000, content_type="audio/mpeg")


async def recurse(_request: web.Request) -> web.StreamResponse:
    """Answer a document that is nested, and refers to itself, beyond all measure."""
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    text = f'<!DOCTYPE r [<!ENTITY e0 "ha">{entities}]><Response>&e9;{"<Gather>" * 20_000}</Response>'
    return web.Response(text=text, content_type="application/xml")


ANSWERS: dict[str, Answer] = {
    "hangs": hang,
    "drops": drop,
    "fails": fail,
    "swells": swell,
    "bursts": burst,
    "drips": drip,
    "raves": rave,
    "recurses": recurse,
}


async def socket_hangs(socket: web.WebSocketResponse) -> None:
    """Read nothing."""
    await asyncio.sleep(3_600)


async def socket_drops(socket: web.WebSocketResponse) -> None:
    """Go away at once."""
    await socket.close(code=WSCloseCode.INTERNAL_ERROR)


async def socket_floods(socket: web.WebSocketResponse) -> None:
    """Send as much audio as the connection takes."""
    message = '{"eventType":"playAudio","media":{"contentType":"audio/pcmu","payload":"' + "f39/" * 4_000 + '"}}'
    for _ in range(FLOOD_MESSAGES):
        await socket.send_str(message)


async def socket_raves(socket: web.WebSocketResponse) -> None:
    """Send what makes no sense."""
    for number in range(FLOOD_MESSAGES):
        await socket.send_str(("[" * 50_000, '{"eventType":"mark"}', "\0" * 1_000)[number % 3])
        await socket.send_bytes(b"\xff" * 1_000)


SOCKETS: dict[str, Callable[[web.WebSocketResponse], Awaitable[None]]] = {
    "hangs": socket_hangs,
    "drops": socket_drops,
    "floods": socket_floods,
    "raves": socket_raves,
}


def _documents() -> dict[str, str]:
    """Return the document of each kind of call; `{0}` is the backend's host and port."""
    found = {"hostile speech": f"<Response>{f'<SpeakSentence>{_LONG}</SpeakSentence>' * 2}</Response>"}
    for name in ANSWERS:
        found[f"hostile webhook {name}"] = f'<Response><Redirect redirectUrl="/hostile/{name}"/></Response>'
        found[f"hostile sound {name}"] = f"<Response><PlayAudio>http://{{0}}/hostile/{name}</PlayAudio></Response>"
    for name in SOCKETS:
        opened = f'<StartStream destination="ws://{{0}}/hostile/socket/{name}" mode="bidirectional" tracks="both"/>'
        found[f"hostile socket {name}"] = f'<Response>{opened}<Pause duration="60"/></Response>'
    return found


DOCUMENTS = _documents()
CALLS = tuple(DOCUMENTS) * _AS_OFTEN
"""What each of the hostile calls of one run is."""


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(BOMB), 1)


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer a webhook, or whoever asks for a sound."""
    with suppress(ConnectionError):
        return await ANSWERS[request.match_info["name"]](request)
    raise web.HTTPGone


async def open_socket(request: web.Request) -> web.StreamResponse:
    """Open a WebSocket and harm it."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    with suppress(ConnectionError):
        await SOCKETS[request.match_info["name"]](socket)
    return socket
