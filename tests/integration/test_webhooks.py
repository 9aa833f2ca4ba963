"""Webhooks to a backend that hangs, beside those of another customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until
from tests.support.hanging import HangingBackend

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
