"""A server of scripted bytes, which tells how often it was connected to and what it read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class ScriptedServer:
    """Answers the n-th request of each connection by the n-th piece of its script, and closes after the last one."""

    def __init__(self, script: Sequence[bytes], greeting: bytes) -> None:
        self.connections = 0
        self.port = 0
        self.requests: list[bytes] = []
        self.script = script
        self._greeting = greeting

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        writer.write(self._greeting)
        for piece in self.script:
            request = await _request(reader)
            if not request:
                break
            self.requests.append(request)
            writer.write(piece)
        writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    length = next((int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


@asynccontextmanager
async def scripted(*script: bytes, greeting: bytes = b"", tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    """Run a server on loopback; `greeting` is what it says before it is asked."""
    server = ScriptedServer(script, greeting)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
