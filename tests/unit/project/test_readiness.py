"""The line that says that everything is ready."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.conf import settings

from sipuri_project import readiness


class Health(BaseHTTPRequestHandler):
    """Answers 503 twice, then 200."""

    hosts: list[str] = []  # noqa: RUF012  # the server makes one instance for each request

    def do_GET(self) -> None:  # noqa: N802  # the library's name
        self.hosts.append(self.headers["Host"])
        self.send_response(200 if len(self.hosts) > 2 else 503)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


async def test_one_line_when_every_role_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0)
    server = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(settings, "HTTP_BIND", ("0.0.0.0", server.server_port))
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", [".voice.example.com"])
    said: list[str] = []
    await readiness.announce_ready(said.append)
    server.shutdown()
    thread.join()
    server.server_close()
    assert Health.hosts == ["voice.example.com"] * 3
    (line,) = said
    assert line.startswith("sipuri is ready: console http://127.0.0.1:8000/console/, API http://127.0.0.1:8000/docs/api, SIP on ")
