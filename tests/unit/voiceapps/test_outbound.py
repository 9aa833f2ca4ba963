"""The guard against a real server on loopback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from voiceapps.daemon.outbound import MAX_RESPONSE_BYTES, WebhookClient, signing_secret
from voiceapps.daemon.outbound_guard import is_public
from voiceapps.rules.http.outbound import OutboundRequest

KEY = b"k" * 32
SECONDS = 10.0


class Backend:
    """A server that stores the requests that it gets."""

    def __init__(self) -> None:
        self.seen: list[tuple[web.Request, bytes]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request, await request.read()))
        match request.path:
            case "/redirect":
                raise web.HTTPFound("http://169.254.169.254/")
            case "/large":
                return web.Response(body=b"x" * (MAX_RESPONSE_BYTES + 1))
            case "/never":
                request.transport.abort()  # type: ignore[union-attr]  # the connection is up
                raise web.HTTPOk
        return web.Response(text="<Response/>", content_type="application/xml")


@pytest.fixture
async def backend() -> AsyncIterator[tuple[Backend, str]]:
    handler = Backend()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", handler.handle)
    server = TestServer(application)
    await server.start_server()
    yield handler, str(server.make_url("/")).rstrip("/")
    await server.close()


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    client = WebhookClient(allow_private=True, signing_key=KEY)
    yield client
    await client.close()


async def test_names_that_take_long_delay_no_others(
    backend: tuple[Backend, str], client: WebhookClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up, begun, done = socket.getaddrinfo, asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(host: str, *arguments: Any, **options: Any) -> Any:
        if host.endswith(".slow.example"):
            loop.call_soon_threadsafe(begun.set)
            done.wait(SECONDS)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    slow = [asyncio.create_task(client.send(OutboundRequest(f"http://{number}.slow.example/", "POST", {}))) for number in range(64)]
    url = backend[1].replace("127.0.0.1", "localhost")
    async with asyncio.timeout(SECONDS):
        await begun.wait()
        assert (await client.send(OutboundRequest(url, "POST", {}))).status == 200
        assert not any(task.done() for task in slow)
        done.set()
        assert {answer.status for answer in await asyncio.gather(*slow)} == {None}


async def test_a_webhook_is_json_with_credentials_and_a_signature(backend: tuple[Backend, str], client: WebhookClient) -> None:
    handler, url = backend
    request = OutboundRequest(f"{url}/initiate", "POST", {"eventType": "initiate"}, "u", "p", account_id="99", message_id="msg_1")
    answer = await client.send(request)
    assert (answer.status, answer.body, answer.error) == (200, b"<Response/>", None)
    seen, body = handler.seen[0]
    assert body == b'{"eventType":"initiate"}'
    assert seen.headers["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    signed = f"msg_1.{seen.headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(signing_secret(KEY, "99"), signed, hashlib.sha256).digest()
    assert seen.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


async def test_get_carries_the_event_as_query(backend: tuple[Backend, str], client: WebhookClient) -> None:
    handler, url = backend
    await client.send(OutboundRequest(f"{url}/initiate?mine=1", "GET", {"eventType": "initiate", "n": 1}))
    assert dict(handler.seen[0][0].query) == {"mine": "1", "eventType": "initiate", "n": "1"}


async def test_redirects_are_not_followed(backend: tuple[Backend, str], client: WebhookClient) -> None:
    answer = await client.send(OutboundRequest(f"{backend[1]}/redirect", "POST", {}))
    assert answer.status == 302
    assert len(backend[0].seen) == 1


async def test_a_long_answer_is_an_error(backend: tuple[Backend, str], client: WebhookClient) -> None:
    answer = await client.send(OutboundRequest(f"{backend[1]}/large", "POST", {}))
    assert answer.status is None
    assert "longer than" in (answer.error or "")


async def test_a_broken_connection_is_one_sentence(backend: tuple[Backend, str], client: WebhookClient) -> None:
    assert (await client.send(OutboundRequest(f"{backend[1]}/never", "POST", {}))).error
    refused = await client.send(OutboundRequest("http://127.0.0.1:1/", "POST", {}))
    assert refused.error == "Cannot connect to 127.0.0.1:1: Connection refused."


async def test_downloads_from_one_host_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceapps.daemon.outbound.MAX_DOWNLOADS_PER_HOST", 2)
    open_now, open_most = 0, 0

    async def handle(_request: web.Request) -> web.Response:
        nonlocal open_now, open_most
        open_now += 1
        open_most = max(open_most, open_now)
        for _ in range(50):
            await asyncio.sleep(0)
        open_now -= 1
        return web.Response()

    async def keep(_: bytes) -> None:
        raise AssertionError("There is nothing to keep.")

    application = web.Application()
    application.router.add_get("/", handle)
    async with TestServer(application) as server:
        client = WebhookClient(allow_private=True, signing_key=KEY)
        options: dict[str, Any] = {"username": "", "password": "", "timeout_seconds": 10, "max_bytes": 9, "keep": keep}
        answers = await asyncio.gather(*(client.fetch(str(server.make_url("/")), **options) for _ in range(8)))
        await client.close()
    assert [answer.status for answer in answers] == [200] * 8
    assert open_most == 2


@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "http://", "http://[::1", "gopher://x"])
async def test_invalid_urls_are_errors(client: WebhookClient, url: str) -> None:
    assert (await client.send(OutboundRequest(url, "POST", {}))).error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_the_guard_refuses_every_notation_of_loopback(backend: tuple[Backend, str], host: str) -> None:
    port = backend[1].rpartition(":")[2]
    guarded = WebhookClient(allow_private=False, signing_key=KEY)
    answer = await guarded.send(OutboundRequest(f"http://{host}:{port}/", "POST", {}))
    await guarded.close()
    assert answer.status is None
    assert backend[0].seen == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fe80::1%eth0", False),
        ("2606:4700::1111", True),
    ],
)
def test_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public
