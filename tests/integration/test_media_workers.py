"""A relay of three workers behind one ng address, between hosts of their own, on either plane."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

import pytest

from mediarelay.config import port_share
from tests.integration.test_media_faults import FROM_CALLER, Calls, rtp_packets, speaking
from tests.support.media_lab import INSIDE_PORTS, OUTSIDE_PORTS, MediaLab, media_lab

pytestmark = pytest.mark.daemons

WORKERS = 3
CALLS = 60
IN_USE = 'sipuri_relay_port_pairs{side="external",state="in_use"}'


@pytest.fixture(scope="module", params=["userspace", "direct"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaLab]:
    folder = tmp_path_factory.mktemp(f"workers-{request.param}")
    with media_lab(folder, request.param, SIPURI_MEDIA_WORKERS=str(WORKERS)) as running:
        yield running
        assert running.stop() == 0
        assert running.rules() == "", "a drained relay leaves nothing in the kernel"
        assert list(folder.glob("relay-*")) == [], "nor a journal"


@pytest.fixture
def calls(lab: MediaLab) -> Iterator[Calls]:
    with ExitStack() as ends:
        made = Calls(lab, CALLS, ends)
        settle(lab, made)
        yield made
        for name in made.names:
            made.ng.delete(name)


def worker_of(name: str) -> int:
    return crc32(name.encode()) % WORKERS


def total(lab: MediaLab, name: str) -> float:
    return sum(lab.metrics(worker)[name] for worker in range(WORKERS))


def settle(lab: MediaLab, calls: Calls) -> None:
    """Talk until the plane that the lab is for has all calls."""
    calls.talk()
    if lab.plane == "direct":

        def carried() -> bool:
            calls.talk()
            return total(lab, "sipuri_relay_direct_flows") == 2 * CALLS

        lab.until(carried, what="all calls in the kernel")


def part(reply: dict[bytes, object], *path: bytes) -> object:
    """Return a value of nested dictionaries."""
    value: object = reply
    for key in path:
        assert isinstance(value, dict)
        value = value[key]
    return value


def test_calls_are_shared_and_every_worker_keeps_to_its_ports(lab: MediaLab, calls: Calls) -> None:
    shares = Counter(map(worker_of, calls.names))
    assert len(shares) == WORKERS
    for worker in range(WORKERS):
        page = lab.metrics(worker)
        assert page["sipuri_relay_sessions"] == page[IN_USE] == shares[worker]
    for name, (outside, inside) in zip(calls.names, calls.ports, strict=True):
        for port, ports in ((outside[1], OUTSIDE_PORTS), (inside[1], INSIDE_PORTS)):
            first, last = port_share(ports, worker_of(name), WORKERS)
            assert first <= port < last
    for _ in range(5):
        calls.talk()


def test_what_is_asked_of_all_adds_up(lab: MediaLab, calls: Calls) -> None:
    listed = calls.ng.command("list", limit=1000)[b"calls"]
    assert isinstance(listed, list)
    assert sorted(listed) == sorted(name.encode() for name in calls.names)
    assert len(part(calls.ng.command("list", limit=7), b"calls")) == 7  # type: ignore[arg-type]  # it is a list
    lab.until(lambda: counted(calls) == 2 * CALLS * calls.said, what="all packets are counted")
    now = calls.ng.command("statistics")[b"statistics"]
    assert isinstance(now, dict)
    assert part(now, b"currentstatistics", b"sessionstotal") == CALLS
    assert part(now, b"currentstatistics", b"planes", {"direct": b"kernel"}.get(lab.plane, b"userspace")) == CALLS
    assert part(now, b"currentstatistics", b"ports", b"external", b"used") == CALLS
    free = sum(int(lab.metrics(worker)[IN_USE.replace("in_use", "free")]) for worker in range(WORKERS))
    assert part(now, b"currentstatistics", b"ports", b"external", b"free") == free
    wrong = calls.ng.command("list", limit=b"many")
    assert wrong == {b"result": b"error", b"error-reason": b"The limit must be an integer."}


def counted(calls: Calls) -> object:
    return part(calls.ng.command("statistics"), b"statistics", b"currentstatistics", b"totals", b"RTP", b"packets")


def test_a_killed_worker_is_missed_by_its_own_calls_at_most(lab: MediaLab, calls: Calls) -> None:
    victim = worker_of(calls.names[0])
    before, process = calls.said, lab.workers()[victim]
    own = [worker_of(name) == victim for name in calls.names] * 2
    with speaking(calls):
        os.kill(process, signal.SIGKILL)
        for name in calls.names[:2]:
            assert calls.ng.command("query", call_id=name)[b"result"] == b"ok"
        lab.until(lambda: lab.workers().get(victim, process) != process, what="the worker is started again")
    missed = calls.said - before
    heard = calls.heard()
    assert missed > 20
    assert [count for count, lost in zip(heard, own, strict=True) if not lost or lab.plane == "direct"] == [
        missed for lost in own if not lost or lab.plane == "direct"
    ]
    calls.talk()
    listed = calls.ng.command("list", limit=1000)[b"calls"]
    assert isinstance(listed, list)
    assert sorted(listed) == sorted(name.encode() for name in calls.names)
    assert total(lab, "sipuri_relay_sessions") == CALLS
    if lab.plane == "direct":
        assert total(lab, "sipuri_relay_kernel_flows") == total(lab, "sipuri_relay_direct_flows") == 2 * CALLS
        # What the kernel had counted after the last look of the dead worker is not lost either.
        assert [rtp_packets(calls.ng.delete(name)) for name in calls.names] == [2 * calls.said] * CALLS


def test_an_offer_to_a_worker_that_is_dead_waits_for_the_next_one(lab: MediaLab) -> None:
    with lab.ng() as ng, lab.endpoint("caller", "203.0.113.7") as caller, lab.endpoint("engine", "10.77.0.5") as engine:
        process = lab.workers()[worker_of("early")]
        os.kill(process, signal.SIGKILL)
        inside = ng.offer("early", caller.sdp(), **FROM_CALLER)
        outside = ng.answer("early", engine.sdp())
        first, last = port_share(OUTSIDE_PORTS, worker_of("early"), WORKERS)
        assert first <= outside[1] < last
        engine.snd(inside, b"\x80\0" + bytes(170))
        assert caller.rcv() == (b"\x80\0" + bytes(170), outside)
        ng.delete("early")
    assert lab.workers()[worker_of("early")] != process
    assert lab.metrics()["sipuri_worker_restarts_total"] == 2


def test_a_killed_front_takes_its_workers_along_and_no_call(lab: MediaLab, calls: Calls) -> None:
    workers = set(lab.workers().values())
    lab.kill()
    lab.until(lambda: not any(Path(f"/proc/{worker}/task").exists() for worker in workers), what="no orphans")
    lab.start()
    lab.until(lambda: len(lab.workers()) == WORKERS, what="all workers are back")
    lab.until(lambda: listed(calls) == set(calls.names), what="all calls are listed again")
    calls.heard()
    calls.talk()


def listed(calls: Calls) -> set[str]:
    found = calls.ng.command("list", limit=1000)[b"calls"]
    assert isinstance(found, list)
    return {name.decode() for name in found}
