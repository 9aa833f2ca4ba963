"""Connections of clients that are slow, rude or many, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sipuri_project.web import connection as module
from sipuri_project.web.connection import CONTINUE, TOO_LATE, UNANSWERED, Connection
from sipuri_project.web.connections import Connections
from sipuri_project.web.replies import Reply
from sipuri_project.web.requests import WholeRequest

GET = b"GET / HTTP/1.1\r\n\r\n"
SOON = 0.05
NEVER = 60.0


class Desk:
    """Answers each request with its body, `held` once it may; a path names a file to send."""

    def __init__(self) -> None:
        self.asked: list[WholeRequest] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_last = False
        self.error: Exception | None = None
        self.file: Path | None = None

    async def answer(self, request: WholeRequest, _client: Any, _server: Any) -> Reply:
        self.asked.append(request)
        if self.error:
            raise self.error
        await self.may_answer.wait()
        reply = Reply(is_last=self.is_last)
        reply.sendall(b"<" + request.body + b">")
        if self.file:
            with self.file.open("rb") as file:
                reply.sendfile(file, 0, self.file.stat().st_size)
        return reply


class Site:
    """A listening server, its desk and its clients."""

    def __init__(self, desk: Desk, connections: Connections, port: int) -> None:
        self.desk, self.connections, self._port = desk, connections, port

    async def connect(self, sent: bytes = b"", **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, **options)
        writer.write(sent)
        return reader, writer


@contextlib.asynccontextmanager
async def serving(*, most: int = 100, keep_seconds: float = NEVER) -> AsyncIterator[Site]:
    desk = Desk()
    connections = Connections(desk.answer, most=most, max_body=100, keep_seconds=keep_seconds)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(connections), "127.0.0.1", 0)
    yield Site(desk, connections, server.sockets[0].getsockname()[1])
    server.close()
    desk.may_answer.set()
    await connections.stop(SOON)


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with serving() as site:
        reader, writer = await site.connect(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na" * 3)
        assert await reader.readexactly(9) == b"<a><a><a>"
        writer.write(GET)
        assert await reader.readexactly(2) == b"<>"
        writer.close()


async def test_a_request_that_nobody_can_answer_is_told_and_its_connection_ends() -> None:
    async with serving() as site:
        site.desk.error = RuntimeError("can't start new thread")
        reader, writer = await site.connect(GET)
        assert await reader.read() == UNANSWERED
        writer.close()
        async with asyncio.timeout(10):
            while len(site.connections):
                await asyncio.sleep(0)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nX:", GET + b"G"])
async def test_a_head_that_never_ends_is_told_and_dropped(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(module, "HEAD_SECONDS", SOON)
    async with serving() as site:
        reader, _ = await site.connect(sent)
        assert (await reader.read()).endswith(TOO_LATE)


@pytest.mark.parametrize("sent", [b"Content-Length: 9\r\n\r\na", b"Transfer-Encoding: chunked\r\n\r\n1\r\n"])
async def test_a_body_that_never_ends_is_told_and_dropped(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", SOON)
    async with serving() as site:
        reader, _ = await site.connect(b"POST / HTTP/1.1\r\n" + sent)
        assert await reader.read() == TOO_LATE
        assert site.desk.asked == []


async def test_an_octet_a_while_buys_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_SECONDS", 4 * SOON)
    async with serving() as site:
        reader, writer = await site.connect()
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait({ended}, timeout=SOON / 4)
        assert ended.result() == TOO_LATE


async def test_a_client_that_says_nothing_at_all_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_SECONDS", SOON)
    async with serving() as site:
        reader, _ = await site.connect()
        assert await reader.read() == b""


async def test_an_idle_connection_is_dropped_without_a_word() -> None:
    async with serving(keep_seconds=SOON) as site:
        reader, _ = await site.connect(GET)
        assert await reader.read() == b"<>"


async def test_a_client_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", SOON)
    async with serving() as site:
        site.desk.file = tmp_path / "large"
        with site.desk.file.open("wb") as file:
            file.truncate(2**26)
        # With so small a limit the client's side soon stops reading by itself.
        client = await site.connect(GET, limit=1024)
        while not site.desk.asked or len(site.connections):
            await asyncio.sleep(0)
        client[1].transport.abort()


async def test_a_file_arrives_whole_and_the_connection_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "FILE_STEP", 1000)
    async with serving() as site:
        site.desk.file = tmp_path / "some"
        site.desk.file.write_bytes(bytes(range(256)) * 17)
        reader, writer = await site.connect(GET)
        for _ in range(2):
            assert await reader.readexactly(2 + 256 * 17) == b"<>" + bytes(range(256)) * 17
            writer.write(GET)
        writer.close()


async def test_what_is_sent_ahead_is_not_taken_in_without_bound() -> None:
    async with serving() as site:
        site.desk.may_answer.clear()
        reader, writer = await site.connect(GET)
        writer.transport.set_write_buffer_limits(0)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na" * 500_000)
        drained = asyncio.create_task(writer.drain())
        await asyncio.wait({drained}, timeout=10 * SOON)
        assert not drained.done(), "20 MB, more than the system's buffers hold"
        site.desk.may_answer.set()
        assert await reader.readexactly(2 + 3 * 1000) == b"<>" + b"<a>" * 1000
        drained.cancel()
        writer.transport.abort()


async def test_a_refused_body_does_not_take_the_answer_away() -> None:
    async with serving() as site:
        reader, writer = await site.connect(b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 9_000_000)
        assert await reader.read() == b"<>"
        writer.close()


async def test_a_client_that_only_ends_its_side_is_answered() -> None:
    async with serving() as site:
        site.desk.may_answer.clear()
        reader, writer = await site.connect(GET)
        writer.write_eof()
        while not site.desk.asked:
            await asyncio.sleep(0)
        site.desk.may_answer.set()
        assert await reader.read() == b"<>"


async def test_the_last_answer_ends_the_connection() -> None:
    async with serving() as site:
        site.desk.is_last = True
        reader, _ = await site.connect(GET + GET)
        assert await reader.read() == b"<>"
        assert len(site.desk.asked) == 1


async def test_a_body_is_asked_for() -> None:
    async with serving() as site:
        reader, writer = await site.connect(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert await reader.readexactly(len(CONTINUE)) == CONTINUE
        writer.write(b"a")
        assert await reader.readexactly(3) == b"<a>"
        writer.close()


async def test_one_too_many_takes_the_place_of_who_waits_longest() -> None:
    async with serving(most=3) as site:
        site.desk.may_answer.clear()
        answered, _ = await site.connect(GET)
        while not site.desk.asked:
            await asyncio.sleep(0)
        oldest, _ = await site.connect(b"G")
        younger, _ = await site.connect(b"G")
        newest, _ = await site.connect(GET)
        with contextlib.suppress(ConnectionResetError):
            assert await oldest.read() == b""
        site.desk.may_answer.set()
        assert [await reader.readexactly(2) for reader in (answered, newest)] == [b"<>", b"<>"]
        assert not younger.at_eof()
        assert len(site.connections) == 3


async def test_a_stop_waits_for_answers_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipuri_project.web.connections.LINGER_SECONDS", SOON)
    async with serving() as site:
        site.desk.may_answer.clear()
        busy, _ = await site.connect(GET)
        idle, _ = await site.connect()
        while not site.desk.asked or len(site.connections) < 2:
            await asyncio.sleep(0)
        stopping = asyncio.create_task(site.connections.stop(NEVER))
        assert await idle.read() == b""
        await asyncio.wait({stopping}, timeout=4 * SOON)
        assert not stopping.done()
        site.desk.may_answer.set()
        assert await busy.read() == b"<>"
        await stopping


async def test_half_a_request_delays_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipuri_project.web.connections.LINGER_SECONDS", SOON)
    async with serving() as site:
        half, _ = await site.connect(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        await half.readexactly(len(CONTINUE))
        await site.connections.stop(NEVER)
        with contextlib.suppress(ConnectionResetError):
            assert await half.read() == b""
