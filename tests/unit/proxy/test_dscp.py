"""The mark on our packets, as their receiver sees it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemonkit.address import Address
from sipproxy.aio.listeners import Listeners
from sipproxy.config import SipProxyConfig
from sipproxy.transactions.listener import Listener
from tests.support.fleet import free_ports
from tests.unit.proxy.harness import CONFIG, INTERNAL, TCP, UDP

CS3 = 24
MESSAGE = b"OPTIONS sip:a SIP/2.0\r\n\r\n"


def on(listener: Listener, address: Address) -> Listener:
    return replace(listener, bind=address, address=address)


def configured() -> SipProxyConfig:
    outside, inside = (("127.0.0.1", port) for port in free_ports(2))
    return replace(CONFIG, external=(on(UDP, outside), on(TCP, outside)), internal=on(INTERNAL, inside))


@pytest.fixture
async def listeners() -> AsyncIterator[tuple[SipProxyConfig, Listeners, asyncio.Queue[Address]]]:
    config = configured()
    heard: asyncio.Queue[Address] = asyncio.Queue()
    made = Listeners(
        config,
        on_message=lambda _listener, _data, address: heard.put_nowait(address),
        on_lost=lambda _listener, _address: None,
        is_trusted=lambda _host: False,
        is_banned=lambda _host: False,
        on_claim=lambda _claim: False,
    )
    made.start({})
    yield config, made, heard
    made.stop()


def receiver() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    sock.settimeout(10)
    return sock


def marks(made: Listeners, listener: Listener) -> dict[Address, int]:
    """Return what the kernel puts on the packets of each connection."""
    found = {}
    for address, connection in made._streams[listener]._open.items():
        assert connection._transport is not None
        found[address] = connection._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_IP, socket.IP_TOS)
    return found


async def test_datagrams_bear_the_mark(listeners: tuple[SipProxyConfig, Listeners, asyncio.Queue[Address]]) -> None:
    config, made, _ = listeners
    with receiver() as sock:
        for listener in (config.external[0], config.internal):
            made.send(listener, MESSAGE, sock.getsockname())
            _, ancillary, _, _ = sock.recvmsg(4_096, 64)
            assert [(level, kind, data[0]) for level, kind, data in ancillary] == [(socket.IPPROTO_IP, socket.IP_TOS, CS3 << 2)]


async def test_connections_bear_the_mark_whoever_opened_them(listeners: tuple[SipProxyConfig, Listeners, asyncio.Queue[Address]]) -> None:
    config, made, heard = listeners
    tcp = config.external[1]
    _, writer = await asyncio.open_connection(*tcp.address)
    writer.write(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n")
    caller = await asyncio.wait_for(heard.get(), 10)
    accepted: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda _reader, writer: accepted.set_result(writer.get_extra_info("peername")), "127.0.0.1", 0)
    there = server.sockets[0].getsockname()
    made.send(tcp, MESSAGE, there)
    await asyncio.wait_for(accepted, 10)
    assert marks(made, tcp) == {caller: CS3 << 2, there: CS3 << 2}
    writer.close()
    server.close()
