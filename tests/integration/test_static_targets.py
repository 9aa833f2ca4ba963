"""Calls to a static target outlive the proxy: their records end when they end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, free_ports, until
from tests.support.on_socket import OnSocket
from tests.support.ua import Attempt, Caller, Service

ROLES = ("web", "worker", "mediarelay", "sipproxy")
RECORD = """
from voiceapps.models import Call, OpenCall, WebhookDelivery
sent = WebhookDelivery.objects.filter(event_type="disconnect").count()
result = [[call.state, call.end_reason, call.duration_seconds] for call in Call.objects.all()] + [sent, OpenCall.objects.count()]"""
SWEEP = "from voiceapps.services import calls\nresult = calls.sweep()"


class Line:
    """A caller and a static target with the proxy of a fleet between them."""

    def __init__(self, fleet: Fleet, backend: TestBackend, target: int) -> None:
        self.fleet = fleet
        self._backend = backend
        self.caller = Caller(("127.0.0.1", free_ports(1)[0]), fleet.sip)
        self.caller.talk_seconds = None
        self.service = Service(("127.0.0.1", target), foreign=True)
        self.ends = OnSocket(self.caller), OnSocket(self.service)
        self.acknowledged_at = 0.0

    async def begin(self) -> Attempt:
        """Have a call that is answered and in its record."""
        application = await asyncio.to_thread(self.fleet.application, status=f"{self._backend.url}/status")
        self.caller.password = application.password
        phone, target = self.ends
        attempt = self.caller.call(application.sip_uri, phone.now)
        phone.pump()
        await target.until(lambda: self.service.acked)
        self.acknowledged_at = time.monotonic()
        await self.record(["answered", "", None], 0, 1)
        return attempt

    async def restart(self) -> None:
        """Kill the proxy, start it again, and wait until it is known and the sweeper has looked."""
        killed = self.fleet.processes.pop("sipproxy")
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        known = "from voiceapps.models import Node\nresult = Node.objects.get(role='sipproxy').boot"
        before = await asyncio.to_thread(self.fleet.python, known)
        self.fleet.spawn("sipproxy")
        await asyncio.to_thread(until, lambda: self.fleet.python(known) != before, seconds=20, what="the new boot is known", every=0.3)
        await asyncio.to_thread(self.fleet.python, SWEEP)

    def hang_up(self, attempt: Attempt, end: int) -> float:
        """Have the caller (0) or the target (1) say BYE; return how long the call was."""
        agent = (self.caller, self.service)[end]
        leg = attempt.leg if end == 0 else self.service.legs[attempt.call_id]
        assert leg is not None
        agent.send_inside(leg, "BYE", self.ends[end].now)
        self.ends[end].pump()
        return time.monotonic() - self.acknowledged_at

    async def record(self, *wanted: object) -> None:
        """Wait until the record of the call, its webhooks and the open calls are so."""
        what = f"the record is {wanted}"
        await asyncio.to_thread(until, lambda: self.fleet.python(RECORD) == list(wanted), seconds=20, what=what, every=0.3)


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Iterator[Fleet]:
    (port,) = free_ports(1)
    fleet = make_fleet(*ROLES, SIPURI_CALLFLOW_TARGETS=f"sip:127.0.0.1:{port}")
    fleet.start()
    yield fleet


@pytest.fixture
async def line(fleet: Fleet, backend: TestBackend) -> AsyncIterator[Line]:
    line = Line(fleet, backend, int(fleet.environment["SIPURI_CALLFLOW_TARGETS"].rpartition(":")[2]))
    for end in line.ends:
        end.open()
    yield line
    for end in line.ends:
        end.close()


@pytest.mark.parametrize(("end", "reason"), [(0, "caller_hangup"), (1, "application_hangup")])
async def test_a_call_goes_on_when_the_proxy_starts_again_and_ends_with_its_bye(
    line: Line, backend: TestBackend, end: int, reason: str
) -> None:
    attempt = await line.begin()
    await line.restart()
    await line.record(["answered", "", None], 0, 1)
    seconds = line.hang_up(attempt, end)
    await asyncio.to_thread(backend.wait, "disconnect", seconds=30)
    (state, ended, duration), sent, still_open = await asyncio.to_thread(line.fleet.python, RECORD)
    assert (state, ended, sent, still_open) == ("disconnected", reason, 1, 0)
    assert duration == pytest.approx(seconds, abs=1.0)
    assert len(backend.of("disconnect")) == 1
