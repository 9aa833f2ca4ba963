"""Who may read a daemon's metrics."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from daemonkit.exposition import ExpositionPage
from tests.support.ng import free_port

TOKEN = "a-token-of-thirty-two-characters-or-more"


async def ask(token: str, path: str, **headers: str) -> tuple[int, str]:
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry)
    address = ("127.0.0.1", free_port(socket.SOCK_STREAM))
    page = ExpositionPage(address, registry, lambda: True, token=token)
    await page.start()
    try:
        async with aiohttp.ClientSession() as session, session.get("http://{}:{}{}".format(*address, path), headers=headers) as answer:
            return answer.status, await answer.text()
    finally:
        await page.stop()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ],
)
async def test_without_the_token_nothing_is_told(headers: dict[str, str]) -> None:
    assert await ask(TOKEN, "/metrics", **headers) == (401, "")


async def test_with_the_token_all_is_told() -> None:
    status, text = await ask(TOKEN, "/metrics", Authorization=f"Bearer {TOKEN}")
    assert (status, "things_total 0.0" in text) == (200, True)


async def test_a_page_without_a_token_asks_for_none() -> None:
    assert (await ask("", "/metrics"))[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/ready"])
async def test_who_watches_processes_needs_no_token(path: str) -> None:
    assert (await ask(TOKEN, path))[0] == 200


async def test_octets_that_are_no_text_are_no_token() -> None:
    address = ("127.0.0.1", free_port(socket.SOCK_STREAM))
    page = ExpositionPage(address, CollectorRegistry(), lambda: True, token=TOKEN)
    await page.start()
    try:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /metrics HTTP/1.0\r\nAuthorization: Bearer \xff\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
    finally:
        await page.stop()
