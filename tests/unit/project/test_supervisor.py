"""Children that die, and what they leave behind."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sipuri_project import supervisor as module
from sipuri_project.supervisor import CannotStartError, Role, _Supervisor

SECONDS = 20.0
# A process and one that it forks: both hold the output and report by a connection that ends with them. The second one ignores SIGTERM;
# an alarm ends it where the supervisor does not.
PARENT = """
import os, signal, socket, sys

def report(kind):
    line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    line.sendall(f"{kind} {os.getpid()}\\n".encode())
    return line

if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(60)
    line = report("fork")
    signal.pause()
line = report("parent")
signal.pause()
"""
# Dies at once and leaves a process that holds its output.
STILLBORN = """
import os, signal
if os.fork() == 0:
    signal.alarm(60)
    signal.pause()
print("the port is taken", flush=True)
os._exit(3)
"""
# Stands for a moment, dies at once three times, and then stands for good; each life leaves a line.
FRAIL = """
import signal, sys, time
with open(sys.argv[1], "a+") as lives:
    lives.write("life\\n")
    lives.seek(0)
    life = len(lives.readlines())
if life == 1:
    time.sleep(0.5)
if life > 4:
    print("stands", flush=True)
    signal.pause()
"""
TALKER = """
import signal
print("x" * 200_000)
print("said", flush=True)
signal.pause()
"""


@dataclass(slots=True)
class Reported:
    """A process that reported itself."""

    kind: str
    pid: int
    ended: asyncio.Event


class Family:
    """A role's processes as they report themselves."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[Reported] = asyncio.Queue()
        self.generations = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep one report until the process ends, and its connection with it."""
        kind, pid = (await reader.readline()).decode().split()
        reported = Reported(kind, int(pid), asyncio.Event())
        self._reports.put_nowait(reported)
        await reader.read()
        reported.ended.set()
        writer.close()

    async def generation(self) -> dict[str, Reported]:
        """Return the next two processes that report, by kind."""
        two = [await self._reports.get() for _ in range(2)]
        self.generations += 1
        return {reported.kind: reported for reported in two}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.0)
    monkeypatch.setattr(module, "LAST_WORDS_SECONDS", 0.1)


@asynccontextmanager
async def supervised(script: str, *arguments: str) -> AsyncIterator[_Supervisor]:
    supervisor = _Supervisor((Role("role", (sys.executable, "-c", script, *arguments)),), drain_seconds=0.0)
    async with asyncio.timeout(SECONDS):
        running = asyncio.create_task(supervisor.run())
        try:
            yield supervisor
        finally:
            supervisor._stopping.set()
            await running


async def test_a_role_that_was_killed_comes_back_though_its_children_hold_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.0)
    family = Family()
    async with await asyncio.start_server(family.take, "127.0.0.1", 0) as server:
        async with supervised(PARENT, str(server.sockets[0].getsockname()[1])):
            first = await family.generation()
            os.kill(first["parent"].pid, signal.SIGKILL)
            await first["fork"].ended.wait()
            second = await family.generation()
            assert first["parent"].pid != second["parent"].pid
        await asyncio.gather(*(reported.ended.wait() for reported in second.values()))


async def test_a_start_that_fails_tells_the_last_words_whoever_holds_the_output() -> None:
    with pytest.raises(CannotStartError, match=r"role did not start \(exit code 3\): the port is taken"):
        async with supervised(STILLBORN) as supervisor:
            await supervisor._stopping.wait()


async def test_a_role_that_has_stood_once_may_die_again_and_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.4)
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(module, "MAX_RESTART_SECONDS", 20.0)
    stands, lines = asyncio.Event(), []

    def see(text: str) -> None:
        lines.append(text.rpartition("| ")[2].rstrip())
        if lines[-1] == "stands":
            stands.set()

    monkeypatch.setattr(module, "Terminal", lambda _: Screen(see))
    async with supervised(FRAIL, str(tmp_path / "lives")):
        await stands.wait()
    again = "ended with exit code 0; starting it again in"
    assert lines[:5] == [f"{again} 0.01 s", f"{again} 0.02 s", f"{again} 0.04 s", f"{again} 0.08 s", "stands"]


async def test_a_role_that_has_stood_comes_back_though_the_system_had_no_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.0)
    start, refusals = asyncio.create_subprocess_exec, [BlockingIOError(errno.EAGAIN, "no room")]
    said: list[str] = []

    async def create(*command: str, **options: Any) -> asyncio.subprocess.Process:
        if family.generations == 1 and refusals:
            raise refusals.pop()
        return await start(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create)
    monkeypatch.setattr(module, "Terminal", lambda _: Screen(said.append))
    family = Family()
    async with await asyncio.start_server(family.take, "127.0.0.1", 0) as server:
        async with supervised(PARENT, str(server.sockets[0].getsockname()[1])):
            os.kill((await family.generation())["parent"].pid, signal.SIGKILL)
            await family.generation()
    assert refusals == []
    assert "role       | ended with no process" in "".join(said)


async def test_a_start_without_room_for_a_process_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def create(*_command: str, **_options: Any) -> asyncio.subprocess.Process:
        raise BlockingIOError(errno.EAGAIN, "no room")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create)
    with pytest.raises(CannotStartError, match=r"role did not start \(no process\): .*no room"):
        async with supervised(PARENT) as supervisor:
            await supervisor._stopping.wait()


async def test_a_line_that_is_too_long_stops_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    said = asyncio.Event()
    monkeypatch.setattr(module, "Terminal", lambda _: Screen(lambda text: said.set() if text == "role       | said" else None))
    async with supervised(TALKER):
        await said.wait()


class Screen:
    """What stands in for the terminal."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self.say = say

    def flush(self) -> None:
        """Nothing waits."""
