"""Simulated calls in the worker: one customer's backend hangs, and another one's call is simulated meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until
from tests.support.hanging import HangingBackend

COUNT = 4
ORDER = """
from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.rules.trials.call_simulation import Script
from voiceapps.services.trials import simulations
row = application({account!r}, initiated_url={url!r}, callback_timeout=25)
for _ in range({count}):
    simulations.order(row, Script.parse({{"turns": [{{"digits": "1"}}]}}), actor=ACTOR)
simulations.announcer.flush()
result = None"""
STATES = """
from voiceapps.models import CallSimulation
result = list(CallSimulation.objects.order_by("created_at").values_list("state", "problem"))"""
DOCUMENT = "<Response><SpeakSentence>Goodbye</SpeakSentence></Response>"


@pytest.fixture
def hanging() -> Iterator[HangingBackend]:
    backend = HangingBackend()
    yield backend
    backend.close()


def test_a_backend_that_hangs_delays_nobody_else(make_fleet: Callable[..., Fleet], backend: TestBackend, hanging: HangingBackend) -> None:
    backend.documents["/start"] = DOCUMENT
    fleet = make_fleet()
    fleet.start()
    fleet.python(ORDER.format(account="9900001", count=COUNT, url=hanging.url))
    until(lambda: hanging.asked() == 2, seconds=10, what="the backend hangs")
    fleet.python(ORDER.format(account="9900002", count=1, url=f"{backend.url}/start"))
    until(lambda: backend.simulated == 1, seconds=10, what="the other one is asked")
    until(lambda: fleet.python(STATES)[-1] == ["ended", None], seconds=10, what="its call has ended")
    assert [state for state, _ in fleet.python(STATES)[:-1]] == ["running", "running", "waiting", "waiting"]
    assert fleet._status(f"{fleet.http}/healthz") == 200
