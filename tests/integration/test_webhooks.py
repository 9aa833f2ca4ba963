"""Webhooks to a backend that hangs, beside those of another customer."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until

COUNT = 40
ENDED = """
from tests.unit.voiceapps.builders import application, ended, facts
from voiceapps.services.reports import write_reports
row = application({account!r}, status_url={url!r})
write_reports([ended(facts(row, number)) for number in range({first}, {first} + {count})])
result = None"""
STATES = """
from voiceapps.models import FailingHost, WebhookAttempt, WebhookDelivery
result = [WebhookDelivery.objects.filter(state="delivered").count(), WebhookAttempt.objects.exclude(status=204).count()]"""


class HangingBackend:
    """Takes connections and requests, and never answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2 * COUNT)
        self._listener.setblocking(False)
        self._taken: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/status"

    def asked(self) -> int:
        """Return how many requests wait for an answer."""
        try:
            while True:
                self._taken.append(self._listener.accept()[0])
        except BlockingIOError:
            pass
        with selectors.DefaultSelector() as selector:
            for taken in self._taken:
                selector.register(taken, selectors.EVENT_READ)
            return len(selector.select(0))

    def close(self) -> None:
        for one in (*self._taken, self._listener):
            one.close()


@pytest.fixture
def hanging() -> Iterator[HangingBackend]:
    backend = HangingBackend()
    yield backend
    backend.close()


def test_a_backend_that_hangs_delays_nobody_else(make_fleet: Callable[..., Fleet], backend: TestBackend, hanging: HangingBackend) -> None:
    fleet = make_fleet()
    fleet.start()
    fleet.python(ENDED.format(account="9900001", first=1, count=COUNT, url=hanging.url))
    until(lambda: hanging.asked() >= 30, seconds=10, what="the backend hangs")
    fleet.python(ENDED.format(account="9900002", first=1001, count=1, url=f"{backend.url}/status"))
    backend.wait("disconnect")
    # It came while all others hung, not after them; and the worker is well.
    assert fleet.python(STATES) == [1, 0]
    assert fleet._status(f"{fleet.http}/healthz") == 200
