from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemonkit import acceptor as module
from daemonkit.acceptor import Acceptor
from daemonkit.address import Address
from daemonkit.sockets import open_tcp

SECONDS = 5.0


class Taker:
    """Keeps the addresses of what is accepted."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[Address] = asyncio.Queue()
        self.acceptor = Acceptor(self.take)
        self.listening = open_tcp(("127.0.0.1", 0))

    def take(self, sock: socket.socket, address: Address) -> None:
        sock.close()
        self.taken.put_nowait(address)

    async def one(self) -> Address:
        """Connect, and return the address that was accepted."""
        with socket.create_connection(self.listening.getsockname()) as client:
            async with asyncio.timeout(SECONDS):
                address = await self.taken.get()
            assert address == client.getsockname()
            return address


@pytest.fixture
async def taker() -> AsyncIterator[Taker]:
    taker = Taker()
    yield taker
    taker.acceptor.stop()


async def test_more_connections_than_one_wake_takes_are_all_accepted(taker: Taker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACCEPTED_PER_WAKE", 2)
    clients = [socket.create_connection(taker.listening.getsockname()) for _ in range(7)]
    taker.acceptor.start(taker.listening)
    async with asyncio.timeout(SECONDS):
        assert [await taker.taken.get() for _ in clients] == [client.getsockname() for client in clients]
    for client in clients:
        client.close()


class Exhausted:
    """A listening socket on a system that has no descriptor left, once."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.refusals = 1

    def accept(self) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listening.accept()

    def setblocking(self, flag: bool) -> None:
        self._listening.setblocking(flag)

    def fileno(self) -> int:
        return self._listening.fileno()

    def close(self) -> None:
        self._listening.close()


async def test_a_system_without_descriptors_is_asked_again(taker: Taker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    with capture_logs() as lines:
        taker.acceptor.start(Exhausted(taker.listening))  # type: ignore[arg-type]  # as far as it is used
        await taker.one()
    assert [line["event"] for line in lines] == ["connection_not_accepted"]


async def test_a_pause_ends_with_the_acceptor(taker: Taker) -> None:
    exhausted = Exhausted(taker.listening)
    taker.acceptor.start(exhausted)  # type: ignore[arg-type]  # as far as it is used
    with socket.create_connection(taker.listening.getsockname()):
        async with asyncio.timeout(SECONDS):
            while exhausted.refusals:
                await asyncio.sleep(0)
    taker.acceptor.stop()
    assert taker.listening.fileno() == -1
