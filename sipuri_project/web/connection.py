"""One HTTP connection: a time-out for each thing that its client may keep us waiting for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from sipuri_project.web.connections import Connections
from sipuri_project.web.limits import BODY_SECONDS, FILE_STEP, HEAD_SECONDS, LINGER_SECONDS, MAX_UNREAD, SEND_SECONDS
from sipuri_project.web.replies import FilePart, Reply
from sipuri_project.web.requests import Phase, RequestReader, WholeRequest

TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
UNANSWERED = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

log = structlog.get_logger(__name__)


class Connection(asyncio.Protocol):
    """Reads requests one after the other and sends their answers."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._reader = RequestReader(connections.max_body)
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._timed_phase: Phase | None = None
        self._serving: asyncio.Task[None] | None = None
        self._taken = asyncio.Event()
        """Set while the client has taken all that was written."""
        self._taken.set()
        self._hears = True
        """Whether what arrives is read, not thrown away."""

    @property
    def is_serving(self) -> bool:
        """Whether a request is being answered."""
        return self._serving is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(0)
        self._connections.admit(self)
        self._begin_wait(Phase.HEAD, HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what was being sent."""
        self._connections.forget(self)
        self._cancel_timer()
        self._taken.set()

    def pause_writing(self) -> None:
        """Note that octets wait for the client to take them."""
        self._taken.clear()

    def resume_writing(self) -> None:
        """Note that the client has taken all."""
        self._taken.set()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if not self._hears:
            return
        self._reader.receive(data)
        if self._serving is None:
            self._advance()
        elif len(self._reader.waiting) > MAX_UNREAD:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Close, unless the client waits for an answer: it has only said that it sends no more."""
        is_waited_for = self._serving is not None
        self._hears = False
        return is_waited_for

    def close_if_idle(self) -> None:
        """Close if no request has been begun."""
        if self._serving is None and self._reader.phase is Phase.IDLE:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _advance(self) -> None:
        """Answer the next request, or wait for the rest of it."""
        request = self._reader.next_request()
        if request is None:
            if self._reader.take_continue():
                self._transport.write(CONTINUE)
            self._await_rest()
            return
        self._cancel_timer()
        self._hears = request.fault is None
        self._connections.await_answer(self)
        self._serving = asyncio.create_task(self._serve(request))

    def _await_rest(self) -> None:
        phase = self._reader.phase
        if phase is Phase.IDLE and self._timed_phase is None:
            self._begin_wait(phase, self._connections.keep_seconds)
        elif phase is Phase.HEAD and self._timed_phase is not Phase.HEAD:
            self._begin_wait(phase, HEAD_SECONDS)
        elif phase is Phase.BODY and self._timed_phase is not Phase.BODY:
            self._begin_wait(phase, BODY_SECONDS)

    def _begin_wait(self, phase: Phase, seconds: float) -> None:
        """Wait for a phase of a request to end; it has its seconds, however often an octet arrives meanwhile."""
        self._cancel_timer()
        self._timed_phase = phase
        self._timer = asyncio.get_running_loop().call_later(seconds, self._on_late)
        self._connections.await_client(self)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timed_phase = None, None

    def _on_late(self) -> None:
        if self._reader.phase is Phase.IDLE:
            self._transport.close()
        else:
            self._transport.write(TOO_LATE)
            self._linger()

    async def _serve(self, request: WholeRequest) -> None:
        about = self._transport.get_extra_info
        try:
            reply = await self._connections.answer(request, about("peername"), about("sockname"))
        except Exception:  # noqa: BLE001  # such as a system without room for a thread
            log.exception("request_unanswered")
            self._serving = None
            self._transport.write(UNANSWERED)
            self._linger()
            return
        try:
            await self._send(reply)
        except (OSError, RuntimeError):
            # The client has gone, or has taken nothing for too long.
            self._transport.abort()
            return
        finally:
            reply.close()
        self._serving = None
        if request.fault is not None:
            self._linger()
        elif reply.is_last or self._connections.is_stopping or not self._hears:
            self._transport.close()
        else:
            self._transport.resume_reading()
            self._advance()

    async def _send(self, reply: Reply) -> None:
        """Send the answer step by step; raises OSError, RuntimeError."""
        for part in reply.parts:
            if isinstance(part, FilePart):
                await self._send_file(part)
            else:
                self._transport.write(part)
                await self._in_time(self._taken.wait())

    async def _send_file(self, part: FilePart) -> None:
        loop = asyncio.get_running_loop()
        end = part.offset + part.count
        for offset in range(part.offset, end, FILE_STEP):
            count = min(FILE_STEP, end - offset)
            if await self._in_time(loop.sendfile(self._transport, part.file, offset, count, fallback=False)) != count:
                raise OSError("the file has become shorter")

    async def _in_time(self, step: Awaitable[object]) -> object:
        """Let the client take one step of the answer; raises TimeoutError, ConnectionResetError."""
        self._connections.await_client(self)
        async with asyncio.timeout(SEND_SECONDS):
            done = await step
        if self._transport.is_closing():
            raise ConnectionResetError
        return done

    def _linger(self) -> None:
        """Close when the client has stopped sending: closing on what it sends would take our last words away from it."""
        self._hears = False
        self._cancel_timer()
        if not self._transport.is_closing():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)
