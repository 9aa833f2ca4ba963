from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio

from daemonkit.address import Address
from mediarelay.aio.command_endpoint import DATAGRAMS_PER_WAKE, CommandEndpoint, command_ways
from mediarelay.ng.control import MAX_BODY
from mediarelay.ng.limits import MAX_COOKIE

NG: Address = ("127.0.0.1", 22222)
CLIENT: Address = ("192.0.2.9", 65_535)
SECONDS = 5.0


@dataclass
class End:
    """One end of a channel and what has come to it."""

    sock: socket.socket
    heard: list[tuple[bytes, Address]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = CommandEndpoint(self.sock, NG, lambda data, address: self.heard.append((data, address)))

    async def until(self, count: int) -> list[tuple[bytes, Address]]:
        async with asyncio.timeout(SECONDS):
            while len(self.heard) < count:
                await asyncio.sleep(0)
        return self.heard


@pytest_asyncio.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    ((ours, theirs),) = command_ways(1)
    front, worker = End(ours), End(theirs)
    for end in (front, worker):
        end.endpoint.open()
    yield front, worker
    for end in (front, worker):
        if end.sock.fileno() >= 0:
            end.endpoint.close()


async def test_datagrams_come_with_their_clients_address(ends: tuple[End, End]) -> None:
    front, worker = ends
    assert worker.endpoint.local == NG
    front.endpoint.send(b"7 de", CLIENT)
    assert await worker.until(1) == [(b"7 de", CLIENT)]
    worker.endpoint.send(b"", CLIENT)
    worker.endpoint.send(b"7 d6:result4:ponge", ("0.0.0.0", 0))
    assert await front.until(2) == [(b"", CLIENT), (b"7 d6:result4:ponge", ("0.0.0.0", 0))]


async def test_the_longest_datagram_passes_whole(ends: tuple[End, End]) -> None:
    front, worker = ends
    longest = bytes(MAX_COOKIE + 1 + MAX_BODY)
    front.endpoint.send(longest, CLIENT)
    assert await worker.until(1) == [(longest, CLIENT)]
    assert front.endpoint.errors == 0


async def test_more_than_one_wakes_worth_comes_in_order(ends: tuple[End, End]) -> None:
    front, worker = ends
    wanted = [(b"%d" % number, CLIENT) for number in range(3 * DATAGRAMS_PER_WAKE + 1)]
    for data, client in wanted:
        front.endpoint.send(data, client)
    assert await worker.until(len(wanted)) == wanted


async def test_datagrams_that_a_full_channel_refuses_are_counted(ends: tuple[End, End]) -> None:
    front, worker = ends
    asyncio.get_running_loop().remove_reader(worker.sock)
    sent = 0
    while not front.endpoint.errors:
        front.endpoint.send(bytes(60_000), CLIENT)
        sent += 1
    worker.endpoint.open()
    await worker.until(sent - 1)
    front.endpoint.send(b"again", CLIENT)
    assert (await worker.until(sent))[-1] == (b"again", CLIENT)
    assert front.endpoint.errors == 1


async def test_a_dead_worker_gets_nothing_and_does_no_harm(ends: tuple[End, End]) -> None:
    front, worker = ends
    worker.endpoint.send(b"last words", CLIENT)
    worker.endpoint.close()
    assert await front.until(1) == [(b"last words", CLIENT)]
    front.endpoint.send(b"hello", CLIENT)
    assert front.endpoint.errors == 1


async def test_datagrams_wait_for_a_workers_successor() -> None:
    ((ours, theirs),) = command_ways(1)
    front = End(ours)
    front.endpoint.open()
    front.endpoint.send(b"early", CLIENT)
    heir = End(theirs.dup())
    heir.endpoint.open()
    assert await heir.until(1) == [(b"early", CLIENT)]
    front.endpoint.close()
    heir.endpoint.close()
    theirs.close()
