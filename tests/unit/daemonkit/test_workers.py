from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from daemonkit import workers as module
from daemonkit.sockets import open_udp
from daemonkit.workers import WorkerPool

SECONDS = 10.0
# Answers each datagram with its number and its process id, until SIGTERM.
WORKER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from daemonkit.workers import inherited_sockets
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
sock = inherited_sockets(sys.argv[5])["udp"]
sock.setblocking(True)
while True:
    _, address = sock.recvfrom(100)
    sock.sendto(f"{sys.argv[3]} {os.getpid()}".encode(), address)
"""
ROOT = Path(__file__).parents[3]

Ask = Callable[[int], Awaitable[tuple[int, int]]]


@asynccontextmanager
async def running(count: int) -> AsyncIterator[tuple[WorkerPool, Ask]]:
    sockets = [open_udp(("127.0.0.1", 0)) for _ in range(count)]
    places = [sock.getsockname() for sock in sockets]
    command = (sys.executable, "-c", WORKER, str(ROOT))
    pool = WorkerPool(
        command,
        open_sockets=lambda: [{"udp": sock} for sock in sockets],
        last_signal=signal.SIGTERM,
        metrics=None,
        registry=CollectorRegistry(),
    )
    await pool.start()

    async def ask(number: int) -> tuple[int, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(sock, b"who?", places[number])
            first, second = (await asyncio.wait_for(loop.sock_recv(sock, 100), SECONDS)).split()
            return int(first), int(second)

    try:
        yield pool, ask
    finally:
        await pool.stop()


async def test_each_worker_has_its_own_socket() -> None:
    async with running(2) as (_, ask):
        assert [(await ask(number))[0] for number in (0, 1)] == [0, 1]


async def test_a_worker_that_dies_comes_back_to_its_socket_and_the_others_stay() -> None:
    async with running(2) as (_, ask):
        (_, first), (_, second) = await ask(0), await ask(1)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            while Path(f"/proc/{first}").exists():
                await asyncio.sleep(0.01)
        # Datagrams that arrive while no worker reads wait in the socket.
        number, again = await ask(0)
        assert number == 0
        assert again != first
        assert await ask(1) == (1, second)


async def test_a_system_without_room_for_a_process_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start, refusals = asyncio.create_subprocess_exec, [BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")]

    async def create(*command: str, **options: Any) -> asyncio.subprocess.Process:
        if refusals:
            raise refusals.pop()
        return await start(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create)
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.0)
    async with running(1) as (_, ask):
        assert (await ask(0))[0] == 0
    assert refusals == []


async def test_a_drain_ends_every_worker() -> None:
    async with running(2) as (pool, ask):
        await ask(0)
        await ask(1)
        assert not pool.idle()
        pool.drain()
        async with asyncio.timeout(SECONDS):
            while not pool.idle():
                await asyncio.sleep(0.01)
