"""Failures on the way to a backend, each against a real server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from tests.unit.voiceapps.scripted_server import OK, scripted
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.http.outbound import OutboundRequest


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    client = WebhookClient(allow_private=True, signing_key=b"k" * 32)
    yield client
    await client.close()


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x"]
    subprocess.run([*command, *files], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def ask(client: WebhookClient, url: str) -> str:
    answer = await client.send(OutboundRequest(url, "POST", {}))
    assert answer.status is None
    assert "secret" not in (answer.error or "")
    return answer.error or ""


async def test_a_certificate_that_nobody_vouches_for(client: WebhookClient, self_signed: ssl.SSLContext) -> None:
    async with scripted(OK, tls=self_signed) as server:
        error = await ask(client, f"https://127.0.0.1:{server.port}/?secret")
    assert error == f"The certificate of 127.0.0.1:{server.port} is not valid: self-signed certificate."


async def test_https_where_plain_http_is_spoken(client: WebhookClient) -> None:
    async with scripted(OK) as server:
        # A server that reads until a blank line would wait for it; this one has heard enough of the handshake.
        server.script = []
        error = await ask(client, f"https://127.0.0.1:{server.port}/?secret")
    assert error.startswith(f"TLS with 127.0.0.1:{server.port} failed: ")


async def test_an_answer_in_plain_http_to_a_handshake(client: WebhookClient) -> None:
    async with scripted(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        error = await ask(client, f"https://127.0.0.1:{server.port}/?secret")
    assert error == f"TLS with 127.0.0.1:{server.port} failed: the port does not speak TLS; plain HTTP perhaps."


@pytest.mark.parametrize(("scheme", "waited_for"), [("https", "connection with TLS to 127.0.0.1:{}"), ("http", "answer")])
async def test_a_silent_server_is_told_by_what_it_did_not_do(client: WebhookClient, scheme: str, waited_for: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        answer = await client.send(OutboundRequest(f"{scheme}://127.0.0.1:{port}/?secret", "POST", {}, timeout_seconds=0.2))
    assert answer.error == f"No {waited_for.format(port)} within 0.2 s."


async def test_a_name_that_is_looked_up_for_too_long(client: WebhookClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client._session.connector, "_resolver", SlowNames())  # noqa: SLF001  # no test asks the network
    answer = await client.send(OutboundRequest("http://slow.example.com/?secret", "POST", {}, timeout_seconds=0.2))
    assert answer.error == "No address of slow.example.com within 0.2 s."


async def test_plain_http_where_tls_is_spoken(client: WebhookClient) -> None:
    async with scripted(greeting=b"\x15\x03\x01\x00\x02\x02\x46") as server:
        error = await ask(client, f"http://127.0.0.1:{server.port}/?secret")
    assert error == "What came back is not an answer in HTTP."


class NoNames(AbstractResolver):
    """A resolver that knows no name."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[aiohttp.abc.ResolveResult]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async def close(self) -> None:
        """Nothing to close."""


class SlowNames(NoNames):
    """A resolver that does not come back."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[aiohttp.abc.ResolveResult]:
        return await asyncio.Future()


async def test_a_name_that_nobody_knows(client: WebhookClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client._session.connector, "_resolver", NoNames())  # noqa: SLF001  # no test asks the network
    error = await ask(client, "http://no-such-host.example.com/?secret")
    assert error == "The name no-such-host.example.com cannot be resolved: Temporary failure in name resolution."


@pytest.mark.parametrize(
    "url", ["http://", "http://a b/", "http://h:0/", "http://h:70000/", "http://h:x/", "http://[::1/", "//h/", "http:/h"]
)
async def test_a_bad_url_is_named_without_being_repeated(client: WebhookClient, url: str) -> None:
    assert await ask(client, f"{url}?secret") in {"Only http and https URLs are allowed.", "The URL names no valid host and port."}
