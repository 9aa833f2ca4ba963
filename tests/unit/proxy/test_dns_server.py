"""The connections of the DNS server: a stranger who holds many takes none from others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from sipproxy.aio import dns_server as module
from sipproxy.aio.dns_server import DnsServer
from sipproxy.dns_config import DnsConfig
from tests.support.fleet import free_ports

SECONDS = 10.0
QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03sip\x07example\x00\x00\x01\x00\x01"


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    server = DnsServer(DnsConfig("dns", ("127.0.0.1", free_ports(1)[0]), "sip.example"), registry=CollectorRegistry())
    await server.start()
    server.publish([("udp", "203.0.113.1", 5060)])
    yield server
    await server.stop()


async def hold(server: DnsServer, source: str) -> asyncio.StreamReader:
    """Open a connection that says nothing; only the server ends it."""
    reader, writer = await asyncio.open_connection(*server.address, local_addr=(source, 0))
    reader.writer = writer  # type: ignore[attr-defined]  # a writer that is forgotten would close it
    return reader


async def is_answered(server: DnsServer, source: str) -> bool:
    reader, writer = await asyncio.open_connection(*server.address, local_addr=(source, 0))
    writer.write(len(QUERY).to_bytes(2, "big") + QUERY)
    answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    writer.close()
    return answer.startswith(QUERY[:2])


async def test_who_holds_many_connections_loses_his_oldest(server: DnsServer) -> None:
    async with asyncio.timeout(SECONDS):
        held = [await hold(server, "127.0.0.2") for _ in range(module.MAX_CONNECTIONS_EACH)]
        assert await is_answered(server, "127.0.0.2")
        assert await held[0].read() == b""
        assert await is_answered(server, "127.0.0.3")
        assert not held[1].at_eof()


async def test_where_there_is_no_room_the_oldest_leaves(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 4)
    async with asyncio.timeout(SECONDS):
        held = [await hold(server, f"127.0.0.{number}") for number in range(2, 6)]
        assert await is_answered(server, "127.0.0.9")
        assert await held[0].read() == b""
        assert not held[1].at_eof()
