"""A customer's backend for tests: answers each path with what the test put there and remembers what it was sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.fleet import until

Document = str | Callable[[dict[str, Any]], str]


class TestBackend:
    """Runs in a thread of its own; `documents` maps paths to BXML, to a function of the event, or to a status."""

    __test__ = False

    def __init__(self, documents: dict[str, Document | int], host: str = "127.0.0.1") -> None:
        self.documents = documents
        self.events: list[dict[str, Any]] = []
        self.seen_at: list[float] = []
        self.simulated = 0
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event = json.loads(body)
                backend.events.append(event)
                backend.seen_at.append(time.monotonic())
                backend.simulated += self.headers["webhook-simulated"] == "true"
                wanted = backend.documents.get(self.path, 204)
                status, answer = (wanted, "") if isinstance(wanted, int) else (200, wanted if isinstance(wanted, str) else wanted(event))
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["eventType"] == event_type]

    def wait(self, event_type: str, count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
        def enough() -> list[dict[str, Any]] | None:
            events = self.of(event_type)
            return events if len(events) >= count else None

        return until(enough, seconds=seconds, what=f"{count} {event_type} webhooks, got {[e['eventType'] for e in self.events]}")
