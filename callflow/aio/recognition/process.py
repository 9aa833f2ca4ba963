"""One process that recognises speech: messages go in, lines come out."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from callflow.aio.recognition.events import LENGTH_OCTETS

MAX_LINE = 64 * 1024
"""Octets of one line."""
MAX_COMPLAINT = 300
"""Characters that are kept of what a process says when it fails."""
_ROOT = Path(__file__).parents[3]
"""Where the program of the process finds our packages, wherever we were started."""
_BLOCK_OCTETS = 64 * 1024


class Process:
    """One process, from `start` to `end`."""

    def __init__(self, process: asyncio.subprocess.Process, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        self._complaints = asyncio.get_running_loop().create_task(_last_line(process.stderr))
        self._process = process
        self._stdin, self._stdout = stdin, stdout

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Start the process; raises OSError."""
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=MAX_LINE, cwd=_ROOT)
        if process.stdin is None or process.stdout is None:
            raise OSError("It has no pipes.")
        # What the process does not take waits with us, where it is counted.
        process.stdin.transport.set_write_buffer_limits(high=0)
        return cls(process, process.stdin, process.stdout)

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def send(self, message: bytes) -> None:
        """Hand it a message; waits until it takes it. Raises OSError where it has ended."""
        self._stdin.write(len(message).to_bytes(LENGTH_OCTETS, "big") + message)
        await self._stdin.drain()

    def finish(self) -> None:
        """Say that no message follows."""
        self._stdin.close()

    async def read(self) -> bytes:
        """Return its next line, nothing behind the last one; raises ValueError if it is too long."""
        return await self._stdout.readline()

    async def complaint(self) -> str:
        """Return the last line that it says of its own failure, once it has ended."""
        return await self._complaints

    async def end(self) -> None:
        """End it, if it has not ended by itself."""
        if self.runs:
            self._process.kill()
        self._stdin.close()
        # asyncio reports the end of a process only after that of its pipes, which a full buffer hides.
        while await self._stdout.read(_BLOCK_OCTETS):
            pass
        await self._process.wait()
        # Whoever fed it knows why it ended; asyncio would log what nobody asks for.
        with suppress(OSError):
            await self._stdin.wait_closed()
        await self._complaints


async def _last_line(stderr: asyncio.StreamReader | None) -> str:
    said = b""
    while stderr is not None and (piece := await stderr.read(_BLOCK_OCTETS)):
        said = (said + piece)[-MAX_COMPLAINT:]
    return said.decode(errors="replace").strip().rpartition("\n")[2]
