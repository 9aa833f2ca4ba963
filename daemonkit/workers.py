"""One role as several processes that share its addresses.

The supervisor opens every socket once and gives each worker its own: with SO_REUSEPORT the kernel then sends one source port always
to the same worker. The sockets stay open here, so a worker that dies is started again with the same ones, and the others keep their
callers (closing a socket would move them to other workers). Datagrams that arrive meanwhile wait in the socket.

Workers are spawned as `command --worker N --sockets name=fd,…`, never forked: no thread or connection is shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from daemonkit.address import Address
from daemonkit.orphans import command_that_ends_with_us
from daemonkit.rounds import Rounds, surviving

STEADY_SECONDS = 10.0
"""A worker that has run for so long is started again at once."""
RESTART_SECONDS = 0.5
POLL_SECONDS = 0.5
ANSWER_SECONDS = 2.0

Sockets = Mapping[str, socket.socket]

log = structlog.get_logger(__name__)


def add_worker_options(parser: ArgumentParser) -> None:
    """Add the options that a supervisor gives to its workers."""
    parser.add_argument("--worker", type=int, help="which worker this is; set by the supervisor")
    parser.add_argument("--sockets", default="", help="name=fd of each socket that the supervisor opened")


def inherited_sockets(text: str) -> dict[str, socket.socket]:
    """Return the sockets of `--sockets` by name."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name: socket.socket(fileno=int(number)) for name, _, number in pairs}


@dataclass(slots=True)
class _Worker:
    number: int
    sockets: Sockets
    metrics: Address | None
    process: asyncio.subprocess.Process | None = None
    ready: bool = False


class WorkerPool:
    """The service that keeps workers running.

    `open_sockets` returns the sockets of each worker by name; `last_signal` is what a worker gets when this process is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        open_sockets: Callable[[], Sequence[Sockets]],
        last_signal: signal.Signals,
        metrics: Address | None,
        registry: CollectorRegistry,
    ) -> None:
        self._command = command_that_ends_with_us(last_signal, command)
        self._open_sockets = open_sockets
        self._metrics = metrics
        self._workers: list[_Worker] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False
        self._looks: list[Rounds] = []
        self._restarts = Counter("sipuri_worker_restarts", "Workers that ended unasked", registry=registry)
        Gauge("sipuri_workers", "Workers that run", registry=registry).set_function(lambda: sum(map(_runs, self._workers)))

    async def start(self) -> None:
        """Open all sockets and start the workers; raises AddressUnavailable."""
        for number, sockets in enumerate(self._open_sockets()):
            own = None if self._metrics is None else (self._metrics[0], self._metrics[1] + 1 + number)
            self._workers.append(_Worker(number, sockets, own))
        self._tasks = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        if self._metrics is not None:
            pages = [(worker, worker.metrics) for worker in self._workers if worker.metrics]
            self._looks = [Rounds("worker_look", partial(_look, worker, page), lambda: POLL_SECONDS) for worker, page in pages]
        for look in self._looks:
            look.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._signal, signal.SIGHUP)

    def ready(self) -> bool:
        """Return whether every worker takes new work; known only where there are metrics pages."""
        return not self._draining and all(worker.ready for worker in self._workers)

    def drain(self) -> None:
        """Let every worker finish what it has."""
        self._draining = True
        self._signal(signal.SIGTERM)

    def idle(self) -> bool:
        """Return whether every worker has ended."""
        return not any(map(_runs, self._workers))

    async def stop(self) -> None:
        """End what is left and close the sockets."""
        self._draining = True
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.gather(*(worker.process.wait() for worker in self._workers if worker.process))
        self._signal(signal.SIGKILL)
        for look in self._looks:
            look.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers:
            for sock in worker.sockets.values():
                sock.close()

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.returncode is None:
                worker.process.send_signal(number)

    async def _keep(self, worker: _Worker) -> None:
        while not self._draining:
            began = asyncio.get_running_loop().time()
            with surviving("worker"):
                await self._live(worker)
            if not self._draining and asyncio.get_running_loop().time() - began < STEADY_SECONDS:
                await asyncio.sleep(RESTART_SECONDS)

    async def _live(self, worker: _Worker) -> None:
        """Start a worker and wait for its end; raises OSError where the system has no room for a process."""
        worker.process = await self._spawn(worker)
        code = await worker.process.wait()
        worker.ready = False
        if not self._draining:
            self._restarts.inc()
            log.error("worker_ended", worker=worker.number, code=code)

    async def _spawn(self, worker: _Worker) -> asyncio.subprocess.Process:
        numbers = {name: sock.fileno() for name, sock in worker.sockets.items()}
        options = ["--worker", str(worker.number), "--sockets", ",".join(f"{name}={number}" for name, number in numbers.items())]
        if worker.metrics is not None:
            options += ["--metrics-port", str(worker.metrics[1])]
        return await asyncio.create_subprocess_exec(*self._command, *options, pass_fds=tuple(numbers.values()))


async def _look(worker: _Worker, page: Address) -> None:
    worker.ready = await _answers(page)


def _runs(worker: _Worker) -> bool:
    return worker.process is not None and worker.process.returncode is None


async def _answers(page: Address) -> bool:
    """Return whether a worker's `/ready` says yes."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(*page)
            writer.write(b"GET /ready HTTP/1.0\r\n\r\n")
            line = await reader.readline()
            writer.close()
    except OSError:
        return False
    return b" 200 " in line
