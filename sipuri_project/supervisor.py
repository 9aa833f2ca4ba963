"""Run every role of one machine as a child process.

Children get a session of their own, so Ctrl-C reaches only the supervisor, which then drains in the order that loses
nothing: the daemons first, for as long as calls need; the web role and the worker last, so that the last call's
webhook still goes out. A child that dies in its first seconds ends the start, and its last output becomes the error. One that
has stood once is started again for ever, at growing intervals while it keeps dying, after any processes that it left behind have
been ended: they would keep its addresses. If the supervisor itself is killed, the kernel ends its children.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from django.conf import settings

from daemonkit.address import Address
from daemonkit.orphans import command_that_ends_with_us
from daemonkit.sockets import AddressUnavailable
from sipuri_project.readiness import announce_ready
from sipuri_project.terminal import STDERR, Terminal

START_SECONDS = 5.0
RESTART_SECONDS = 1.0
MAX_RESTART_SECONDS = 30.0
LAST_LINES = 5
LAST_WORDS_SECONDS = 1.0
STOP_SECONDS = 10.0


class CannotStartError(Exception):
    """The reasons why the roles cannot start, one sentence each."""


@dataclass(frozen=True, slots=True)
class Role:
    """One child: its command and the addresses it needs."""

    name: str
    command: tuple[str, ...]
    udp: tuple[Address, ...] = ()
    tcp: tuple[Address, ...] = ()
    outlives_calls: bool = False


@dataclass(slots=True)
class _Child:
    """A role's process while it runs."""

    role: Role
    process: asyncio.subprocess.Process
    output: asyncio.StreamReader
    pipe: asyncio.ReadTransport
    started_at: float
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))


def roles(drain_seconds: float) -> tuple[Role, ...]:
    """Return the roles of one machine as the settings configure them."""
    manage = (sys.executable, "manage.py")
    drain = ("--drain-seconds", str(drain_seconds))
    gunicorn = ("-m", "gunicorn", "-c", "python:sipuri_project.web.gunicorn_config")
    # Celery's banner and its word about root would stand among the lines that tell something; every role runs as the same user.
    quietly = ("-W", "ignore:You're running the worker with superuser")
    celery = (sys.executable, *quietly, "-m", "celery", "-q", "-A", "sipuri_project", "worker")
    first, port_inside = settings.SIP_INTERNAL_BIND
    inside = tuple((first, port_inside + number) for number in range(settings.SIP_WORKERS))
    secure = (settings.SIP_TLS_BIND,) if settings.SIP_TLS_CERT else ()
    return (
        Role("web", (sys.executable, *gunicorn), tcp=(settings.HTTP_BIND,), outlives_calls=True),
        Role("worker", (*celery, "-Q", "housekeeping", "-P", "threads", "--concurrency", "2", "-B"), outlives_calls=True),
        Role("webhooks", (*celery, "-Q", "webhooks", "-P", "solo"), outlives_calls=True),
        Role("mediarelay", (*manage, "runmediarelay", *drain), udp=(settings.NG_BIND,)),
        Role("callflow", (*manage, "runcallflow", *drain), udp=(settings.CALLFLOW_BIND,)),
        Role("sipproxy", (*manage, "runsipproxy", *drain), udp=(settings.SIP_BIND, *inside), tcp=(settings.SIP_BIND, *secure)),
        Role("sipdns", (*manage, "runsipdns"), udp=(settings.DNS_BIND,), tcp=(settings.DNS_BIND,)),
    )


def supervise(wanted: tuple[Role, ...], *, drain_seconds: float) -> None:
    """Run the roles until SIGINT or SIGTERM and drain them; raises CannotStartError."""
    _check_addresses(wanted)
    asyncio.run(_Supervisor(wanted, drain_seconds).run())


def _check_addresses(wanted: tuple[Role, ...]) -> None:
    problems = []
    for role in wanted:
        for kind, transport, addresses in ((socket.SOCK_DGRAM, "UDP", role.udp), (socket.SOCK_STREAM, "TCP", role.tcp)):
            for address in addresses:
                try:
                    _try_bind(kind, address)
                except OSError as error:
                    problems.append(f"{role.name}: {AddressUnavailable(transport, address, error)}")
    if problems:
        raise CannotStartError("\n".join(problems))


def _try_bind(kind: socket.SocketKind, address: Address) -> None:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


class _Supervisor:
    def __init__(self, wanted: tuple[Role, ...], drain_seconds: float) -> None:
        self._wanted = wanted
        self._drain_seconds = drain_seconds
        self._children: dict[str, _Child] = {}
        self._stopping = asyncio.Event()
        self._failure: str | None = None
        self._terminal = Terminal(STDERR)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        watchers = [asyncio.create_task(self._keep(role)) for role in self._wanted]
        announcing = asyncio.create_task(announce_ready(self._terminal.say))
        await self._stopping.wait()
        announcing.cancel()
        await self._stop([role for role in self._wanted if not role.outlives_calls], self._drain_seconds + STOP_SECONDS)
        await self._stop([role for role in self._wanted if role.outlives_calls], STOP_SECONDS)
        await asyncio.gather(*watchers)
        self._terminal.flush()
        if self._failure:
            raise CannotStartError(self._failure)

    async def _keep(self, role: Role) -> None:
        has_stood, wait = False, RESTART_SECONDS
        while not self._stopping.is_set():
            lived, end, words = await self._live(role)
            if self._stopping.is_set():
                return
            has_stood = has_stood or lived >= START_SECONDS
            wait = RESTART_SECONDS if lived > MAX_RESTART_SECONDS else wait
            self._on_death(role, end, words, wait if has_stood else None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
            wait = min(2 * wait, MAX_RESTART_SECONDS)

    async def _live(self, role: Role) -> tuple[float, str, str]:
        """Run a role once. Returns for how many seconds it lived, how it ended, and its last words."""
        try:
            child = await self._spawn(role)
        except OSError as error:
            return 0.0, "no process", str(error)
        relaying = asyncio.create_task(self._relay_output(child))
        code = await child.process.wait()
        lived = time.monotonic() - child.started_at
        await self._end_rest(child, relaying)
        return lived, f"exit code {code}", child.last_lines[-1] if child.last_lines else "it said nothing"

    async def _spawn(self, role: Role) -> _Child:
        # A pipe of our own: with one of asyncio's, a process counts as running for as long as any of its children holds the pipe.
        read_end, write_end = os.pipe()
        output = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(output)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(read_end, "rb", 0))
        try:
            process = await asyncio.create_subprocess_exec(
                *command_that_ends_with_us(signal.SIGKILL, role.command),
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                cwd=settings.BASE_DIR,
            )
        except OSError:
            pipe.close()
            raise
        finally:
            os.close(write_end)
        child = _Child(role, process, output, pipe, time.monotonic())
        self._children[role.name] = child
        if self._stopping.is_set():
            # The stop came while it was being started, and has not seen it.
            process.terminate()
        return child

    async def _relay_output(self, child: _Child) -> None:
        while line := await _next_line(child.output):
            text = line.decode("utf-8", "replace").rstrip()
            child.last_lines.append(text)
            self._terminal.say(f"{child.role.name:<10} | {text}")

    async def _end_rest(self, child: _Child, relaying: asyncio.Task[None]) -> None:
        """Give the processes that a child left behind, and its output, a moment to end; then kill them."""
        _signal_group(child, signal.SIGTERM)
        await asyncio.wait({relaying}, timeout=LAST_WORDS_SECONDS)
        _signal_group(child, signal.SIGKILL)
        child.pipe.close()
        await relaying

    def _on_death(self, role: Role, end: str, words: str, wait: float | None) -> None:
        """Tell when the role is started again, or end the start of one that has never stood."""
        if wait is None:
            self._failure = f"{role.name} did not start ({end}): {words}"
            self._stopping.set()
        else:
            self._terminal.say(f"{role.name:<10} | ended with {end}; starting it again in {wait:g} s")

    async def _stop(self, stopped: list[Role], seconds: float) -> None:
        running = [self._children[role.name].process for role in stopped if role.name in self._children]
        for process in running:
            if process.returncode is None:
                process.terminate()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(process.wait() for process in running))
        except TimeoutError:
            for process in running:
                if process.returncode is None:
                    process.kill()


async def _next_line(output: asyncio.StreamReader) -> bytes:
    try:
        return await output.readline()
    except ValueError:
        # The reader has dropped 64 KiB without a line break; a pipe that nobody reads would stop the child.
        return b"(a line that is too long to show)\n"


def _signal_group(child: _Child, number: signal.Signals) -> None:
    """Signal the processes that a child started: as the leader of its session it gave its group its own id."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, number)
