"""The gunicorn worker of the web role: one event loop for the clients, a few threads for Django.

A thread gets a request when it has arrived whole, and is free as soon as its answer is there; the loop does the waiting. So a client
that sends or takes its octets slowly costs a connection and no more. Health has threads of its own: it is asked for when all others are
busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from django.conf import settings
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.http.parser import RequestParser
from gunicorn.workers import base

from sipuri_project.web.connection import Connection
from sipuri_project.web.connections import Connections
from sipuri_project.web.limits import MAX_HEAD
from sipuri_project.web.replies import Reply
from sipuri_project.web.requests import BAD_BODY, Fault, WholeRequest

HEALTH = b"/healthz"
HEALTH_THREADS = 4
"""They wait for one and the same question to the database."""
BEAT_SECONDS = 1.0
FILES_EACH = 2
"""A connection may need its socket and the file that is sent over it."""
OTHER_FILES = 64


class WholeRequestWorker(base.Worker):  # type: ignore[misc]  # gunicorn has no types
    """Reads and writes in an event loop, works in threads."""

    def run(self) -> None:
        """Serve until gunicorn says stop."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._requests = ThreadPoolExecutor(self.cfg.threads, "request")
        self._health = ThreadPoolExecutor(HEALTH_THREADS, "health")
        connections = Connections(
            self._answer,
            most=_most_connections(self.cfg.worker_connections),
            max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            keep_seconds=self.cfg.keepalive,
        )
        stopping = self._stop_on_signals()
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(lambda: Connection(connections), sock=listener.sock, backlog=self.cfg.backlog)
            for listener in self.sockets
        ]
        while not stopping.is_set() and self.ppid == os.getppid():
            self.notify()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), BEAT_SECONDS)
        self.alive = False
        for server in servers:
            server.close()
        await connections.stop(self.cfg.graceful_timeout)

    def _stop_on_signals(self) -> asyncio.Event:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        return stopping

    async def _answer(self, request: WholeRequest, client: Any, server: Any) -> Reply:
        pool = self._health if request.path == HEALTH else self._requests
        return await asyncio.get_running_loop().run_in_executor(pool, self._work, request, client, server)

    def _work(self, request: WholeRequest, client: Any, server: Any) -> Reply:
        """Answer a request; what goes wrong becomes an answer, too."""
        reply = Reply(str(settings.VAR_DIR))
        parsed = None
        if request.fault is Fault.LONG_HEAD:
            util.write_error(reply, 431, "Request Header Fields Too Large", f"A head has at most {MAX_HEAD} bytes.")
            return reply
        try:
            parsed = next(RequestParser(self.cfg, iter([request.head]), client))
            self._ask_django(request, parsed, reply, client, server)
        except NoMoreData:
            util.write_error(reply, 400, "Bad Request", "This is no HTTP request.")
        except Exception as error:  # noqa: BLE001  # gunicorn's own handler logs it and words the answer
            reply.close()
            reply = Reply()
            self.handle_error(parsed, reply, client, error)
        return reply

    def _ask_django(self, request: WholeRequest, parsed: Any, reply: Reply, client: Any, server: Any) -> None:
        began = datetime.now()  # noqa: DTZ005  # the access log wants a difference
        response, environ = wsgi.create(parsed, reply, client, server, self.cfg)
        environ.update(_body_of(request), **{"wsgi.multithread": True})
        if request.fault or not self.alive or not self.cfg.keepalive:
            response.force_close()
        answer = self.wsgi(environ, response.start_response)
        try:
            if isinstance(answer, environ["wsgi.file_wrapper"]):
                response.write_file(answer)
            else:
                for part in answer:
                    response.write(part)
            response.close()
        finally:
            self.log.access(response, parsed, environ, datetime.now() - began)  # noqa: DTZ005
            if hasattr(answer, "close"):
                answer.close()
        reply.is_last = response.should_close()


def _body_of(request: WholeRequest) -> dict[str, Any]:
    """Return the body as WSGI tells it: with its length, however that was said on the wire."""
    about: dict[str, Any] = {"wsgi.input": io.BytesIO(request.body)}
    if request.fault is Fault.LARGE_BODY:
        about["CONTENT_LENGTH"] = str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    elif request.body:
        about["CONTENT_LENGTH"] = str(len(request.body))
    if request.fault in {Fault.BAD_CHUNK, Fault.DOUBTFUL_LENGTH}:
        about[BAD_BODY] = True
    return about


def _most_connections(wanted: int) -> int:
    """Return how many connections the limit of open files allows, at most `wanted`; raise that limit as far as we may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(wanted, (most - OTHER_FILES) // FILES_EACH) if most != resource.RLIM_INFINITY else wanted
