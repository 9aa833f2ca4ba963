"""What the HTTP client puts on the wire, byte by byte, and what it does when a connection dies."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
from collections.abc import AsyncIterator

import pytest

from tests.unit.voiceapps.scripted_server import OK, scripted
from voiceapps.daemon.outbound import MAX_REDIRECTS, MAX_RESPONSE_BYTES, WebhookClient, signing_secret
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest

KEY = b"k" * 32
CLOSE = b""
BODY = {"eventType": "initiate", "from": "sip:alice@example.net", "n": 1}


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    client = WebhookClient(allow_private=True, signing_key=KEY)
    yield client
    await client.close()


def head(request: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb/%27%7e%40%3A",
        "/a/../b//c/./",
        "/q?x=%2f%7E&y=a+b%20c&z",
        "/p?",
        "/p;v=1?a=b=c&&",
        "/%zz{|}^`",
        "/~'@:!$()*,",
        "/?u=http://x/",
    ],
)
async def test_a_url_leaves_as_it_was_written(client: WebhookClient, target: str) -> None:
    async with scripted(OK, OK) as server:
        await client.send(OutboundRequest(f"http://127.0.0.1:{server.port}{target}#part", "POST", {}))
        await download(client, f"http://127.0.0.1:{server.port}{target}")
    assert [head(request)[0].split(" ", 1)[1] for request in server.requests] == [f"{target} HTTP/1.1"] * 2


async def test_what_no_request_line_can_hold_is_encoded(client: WebhookClient) -> None:
    async with scripted(OK) as server:
        await client.send(OutboundRequest(f"http://127.0.0.1:{server.port}?é=a b", "POST", {}))
    assert head(server.requests[0])[0] == "POST /?%C3%A9=a%20b HTTP/1.1"


@pytest.mark.parametrize("target", ["", "/g", "/g?", "/g?mine=%2F&x=a@b:c~'", "/a%2Fb%7Ec/?sip:x"])
async def test_the_signature_of_a_get_covers_the_url_that_the_server_received(client: WebhookClient, target: str) -> None:
    async with scripted(OK) as server:
        await client.send(OutboundRequest(f"http://u:p@127.0.0.1:{server.port}{target}#x", "GET", BODY, account_id="99"))
    line, headers = head(server.requests[0])
    url = f"http://{headers['host']}{line.split()[1]}"
    assert "from=sip%3Aalice%40example.net" in url
    assert headers["authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{url}".encode()
    digest = hmac.new(signing_secret(KEY, "99"), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_request_that_dies_on_a_kept_connection_is_sent_once_more(client: WebhookClient, method: str) -> None:
    async with scripted(OK, CLOSE) as server:
        url = f"http://127.0.0.1:{server.port}/"
        answers = [await client.send(OutboundRequest(url, method, BODY)) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert (server.connections, len(server.requests)) == (2, 3)
    assert server.requests[1] == server.requests[2].replace(b"Connection: close\r\n", b"")


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_request_that_dies_on_a_new_connection_is_not_repeated(client: WebhookClient, method: str) -> None:
    async with scripted(CLOSE) as server:
        answer = await client.send(OutboundRequest(f"http://127.0.0.1:{server.port}/", method, BODY))
    assert answer.error == "The connection was closed without an answer."
    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_a_request_whose_answer_has_begun_is_not_repeated(client: WebhookClient, begun: bytes) -> None:
    async with scripted(OK, begun) as server:
        url = f"http://127.0.0.1:{server.port}/"
        await client.send(OutboundRequest(url, "POST", BODY))
        answer = await client.send(OutboundRequest(url, "POST", BODY))
    assert answer.status is None
    assert len(server.requests) == 2


async def test_the_second_try_is_the_last(client: WebhookClient) -> None:
    async with scripted(OK, CLOSE) as server:
        url = f"http://127.0.0.1:{server.port}/"
        await client.send(OutboundRequest(url, "POST", BODY))
        server.script = [CLOSE]  # on new connections
        answer = await client.send(OutboundRequest(url, "POST", BODY))
    assert answer.error == "The connection was closed without an answer."
    assert len(server.requests) == 3


def moved(where: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody".encode()


SOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nRIFF"


async def download(client: WebhookClient, url: str) -> tuple[int | None, bytes, str | None]:
    answer, body = await kept_download(client, url)
    return answer.status, body, answer.error


async def kept_download(client: WebhookClient, url: str, max_bytes: int = 99) -> tuple[OutboundAnswer, bytes]:
    body = bytearray()

    async def keep(piece: bytes) -> None:
        body.extend(piece)

    answer = await client.fetch(url, username="u", password="p", timeout_seconds=5, max_bytes=max_bytes, keep=keep)
    return answer, bytes(body)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_download_follows_redirects_and_keeps_its_credentials_at_home(client: WebhookClient, status: int) -> None:
    async with scripted(SOUND) as other, scripted(moved(f"http://127.0.0.1:{other.port}/b%2Fc", status)) as home:
        assert await download(client, f"http://127.0.0.1:{home.port}/a") == (200, b"RIFF", None)
    line, headers = head(other.requests[0])
    assert line == "GET /b%2Fc HTTP/1.1"
    assert "authorization" not in headers
    assert "authorization" in head(home.requests[0])[1]


async def test_credentials_go_along_within_one_origin(client: WebhookClient) -> None:
    async with scripted(moved("/next")) as home:
        status, _, error = await download(client, f"http://127.0.0.1:{home.port}/a")
    assert (status, error) == (None, f"It redirected more than {MAX_REDIRECTS} times.")
    assert [head(request)[0] for request in home.requests] == ["GET /a HTTP/1.1"] + ["GET /next HTTP/1.1"] * MAX_REDIRECTS
    assert all("authorization" in head(request)[1] for request in home.requests)


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://example.com/x", "gopher://x"])
async def test_a_redirect_stays_in_http(client: WebhookClient, where: str) -> None:
    async with scripted(moved(where)) as home:
        assert await download(client, f"http://127.0.0.1:{home.port}/a") == (None, b"", "Only http and https URLs are allowed.")


async def test_each_hop_passes_the_guard(client: WebhookClient, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = {"127.0.0.1"}
    monkeypatch.setattr("voiceapps.daemon.outbound_guard.is_public", allowed.__contains__)
    guarded = WebhookClient(allow_private=False, signing_key=KEY)
    async with scripted(SOUND) as other, scripted(moved(f"http://127.0.0.2:{other.port}/")) as home:
        status, _, error = await download(guarded, f"http://127.0.0.1:{home.port}/a")
    await guarded.close()
    assert (status, other.connections) == (None, 0)
    assert error == f"Cannot connect to 127.0.0.2:{other.port}: 127.0.0.2 is not a public address."


async def test_a_redirect_without_a_location_is_an_answer(client: WebhookClient) -> None:
    async with scripted(b"HTTP/1.1 302 Moved\r\nContent-Length: 0\r\n\r\n") as home:
        assert await download(client, f"http://127.0.0.1:{home.port}/a") == (302, b"", None)


async def test_a_compressed_answer_is_read_within_its_limit(client: WebhookClient) -> None:
    def packed(body: bytes) -> bytes:
        data = gzip.compress(body)
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data) + data

    async with scripted(packed(b"<Response/>"), packed(bytes(MAX_RESPONSE_BYTES + 1))) as server:
        read, bomb = [await client.send(OutboundRequest(f"http://127.0.0.1:{server.port}/", "POST", {})) for _ in range(2)]
    assert read.body == b"<Response/>"
    assert bomb.error == f"The answer is longer than {MAX_RESPONSE_BYTES} bytes."


async def test_a_download_comes_as_it_is_coded_and_within_its_limit(client: WebhookClient) -> None:
    data = gzip.compress(b"RIFF")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data)
    async with scripted(head + data, head + data) as server:
        url = f"http://127.0.0.1:{server.port}/"
        answer, body = await kept_download(client, url, len(data))
        cut, _ = await kept_download(client, url, len(data) - 1)
    assert (answer.coding, answer.body, body) == ("gzip", b"", data)
    assert (cut.status, cut.error) == (None, f"The answer is longer than {len(data) - 1} bytes.")


async def test_only_a_good_answer_is_kept(client: WebhookClient) -> None:
    async with scripted(SOUND.replace(b"200 OK", b"404 Not Found")) as server:
        assert await download(client, f"http://127.0.0.1:{server.port}/") == (404, b"", None)


async def test_a_download_that_cannot_be_kept_raises_what_its_keeper_raises(client: WebhookClient) -> None:
    async def keep(_: bytes) -> None:
        raise KeyError("full")

    async with scripted(SOUND) as server:
        with pytest.raises(KeyError, match="full"):
            await client.fetch(f"http://127.0.0.1:{server.port}/", username="", password="", timeout_seconds=5, max_bytes=9, keep=keep)
