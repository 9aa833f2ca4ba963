"""The DNS server's sockets: a zone over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from daemonkit.address import Address
from daemonkit.sockets import AddressUnavailable
from daemonkit.udp import UdpEndpoint
from sipproxy.aio.dns_limit import AnswerLimit, Cookies
from sipproxy.aio.dns_zone import DnsClient, Place, Zone
from sipproxy.dns_config import DnsConfig

IDLE_SECONDS = 10.0
"""How long a TCP client may take for its next query."""
MAX_CONNECTIONS = 64
MAX_CONNECTIONS_EACH = 8
"""Of one address; a connection that finds no room takes the place of the oldest one, of its address or of all."""
MAX_QUERIES = 100
"""Queries of one TCP connection."""
MAX_QUERY_OCTETS = 4_096
COOKIE_MARK = b"\x00\x0a\x00"
"""How the option of a cookie begins, whose length is below 256."""
WILDCARD = "0.0.0.0"  # noqa: S104  # compared with, not bound


class DnsServer:
    """An authoritative server for the SIP domain, which answers with what was published last."""

    def __init__(self, config: DnsConfig, *, registry: CollectorRegistry) -> None:
        host = config.bind[0]
        cookies = Cookies(secrets.token_bytes(32))
        self._zone = Zone(config.domain, ttl=config.ttl, name_server=None if host == WILDCARD else host, cookies=cookies)
        self._limit = AnswerLimit()
        self._endpoint = UdpEndpoint(config.bind, self._on_datagram)
        self._listener: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], str] = {}
        """The address of each connection's client, the oldest first."""
        self._published: tuple[Place, ...] | None = None
        self._queries = Counter("sipuri_dns_queries", "DNS queries answered", ("transport", "rcode"), registry=registry)
        self._limited = Counter("sipuri_dns_limited", "DNS answers that a network had too many of", ("outcome",), registry=registry)
        self._ignored = Counter("sipuri_dns_ignored", "Datagrams that are no query", registry=registry)
        Gauge("sipuri_dns_proxies", "Proxies in the zone", registry=registry).set_function(
            lambda: len({host for _, host, _ in self._published or ()})
        )

    @property
    def address(self) -> Address:
        """Where queries are answered; the real port once started."""
        return self._endpoint.local

    def publish(self, proxies: Sequence[Place]) -> None:
        """Answer with these proxies from now on; the zone is rebuilt only if they have changed."""
        wanted = tuple(sorted(set(proxies)))
        if wanted != self._published:
            self._published = wanted
            self._zone.publish(wanted, serial=int(time.time()))

    async def start(self) -> None:
        """Listen on UDP and TCP; raises AddressUnavailable."""
        self._endpoint.open()
        try:
            self._listener = await asyncio.start_server(self._on_connection, *self.address, limit=MAX_QUERY_OCTETS)
        except OSError as error:
            self._endpoint.close()
            raise AddressUnavailable("TCP", self.address, error) from error

    async def stop(self) -> None:
        """Close the sockets and the connections."""
        self._endpoint.close()
        if self._listener is not None:
            self._listener.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _answer(self, wire: bytes, client: DnsClient) -> bytes | None:
        answer = self._zone.answer(wire, client)
        if answer is None:
            self._ignored.inc()
            return None
        self._queries.labels("tcp" if client.tcp else "udp", answer.rcode).inc()
        return answer.wire

    def _on_datagram(self, data: bytes, address: Address) -> None:
        admitted = self._limit.admits(address[0], time.monotonic())
        if not admitted and not self._goes_out(data):
            return
        answer = self._answer(data, DnsClient(address[0], time.time(), admitted=admitted))
        if answer is not None:
            self._endpoint.send(answer, address)

    def _goes_out(self, data: bytes) -> bool:
        """Return whether a query too many gets an answer, which is a short one unless its cookie is ours."""
        if COOKIE_MARK in data:
            return True
        slips = self._limit.slips()
        self._limited.labels("truncated" if slips else "dropped").inc()
        return slips

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._make_room(client := _client_of(writer).source_ip)
        self._connections[task] = client
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._connections.pop(task, None)
            writer.close()

    def _make_room(self, client: str) -> None:
        """End the oldest connection of a client that has many, or the oldest of all."""
        own = [task for task, held_by in self._connections.items() if held_by == client]
        crowd = own if len(own) >= MAX_CONNECTIONS_EACH else list(self._connections)
        if crowd is own or len(crowd) >= MAX_CONNECTIONS:
            del self._connections[crowd[0]]
            crowd[0].cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(MAX_QUERIES):
            async with asyncio.timeout(IDLE_SECONDS):
                size = int.from_bytes(await reader.readexactly(2), "big")
                if size > MAX_QUERY_OCTETS:
                    return
                answer = self._answer(await reader.readexactly(size), _client_of(writer))
                if answer is None:
                    return
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()


def _client_of(writer: asyncio.StreamWriter) -> DnsClient:
    peer = writer.get_extra_info("peername") or ("",)
    return DnsClient(peer[0], time.time(), tcp=True)
