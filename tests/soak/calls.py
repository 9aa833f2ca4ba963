"""`make soak`: calls in both directions for an hour, after which nothing has grown and every record is right.

A minute of calls warms up: roles open some descriptors with their first work. Then the memory, descriptors and threads of every role
are noted each minute. At the end, when all calls are over, descriptors are what they were when those of the warming up were over, memory
is what it was in the first half, the log holds no warning, the seconds of each record are those of its caller's clock, and the relay has
heard what the caller has sent.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from tests.chaos.callers import CALLS_EACH, Attempt, Callers, CallPlace
from tests.chaos.machine import COMMANDS, Machine
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until

MINUTES = 60
WARM_MINUTES = 1.0
RATE, SECONDS = 1.5, (5.0, 25.0)
DOCUMENT = '<Response><Record maxDuration="3" terminatingDigits=""/><Pause duration="600"/></Response>'
MAX_GROWTH, GROWTH_SLACK = 1.10, 8 * 1024 * 1024
"""By how much memory may grow from the first half to the end: a part of it, and some octets."""
MAX_SECONDS_OFF = 1.0
MAX_PACKETS_OFF = 50
"""A second of audio."""
PORTS_REST_SECONDS = 30
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RECORDS = """
from voiceapps.models import Call, MediaLeg, OpenCall
packets = dict(MediaLeg.objects.filter(leg="external").values_list("call_id", "packets_in"))
rows = Call.objects.exclude(answered_at=None).exclude(ended_at=None)
result = {
    "open": OpenCall.objects.count() + Call.objects.exclude(state="disconnected").count(),
    "calls": [
        [call_id, from_uri, (ended_at - answered_at).total_seconds(), packets.get(call_id)]
        for call_id, from_uri, answered_at, ended_at in rows.values_list("call_id", "from_uri", "answered_at", "ended_at")
    ],
}"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes of a role hold."""

    octets: int
    descriptors: int
    threads: int

    def __str__(self) -> str:
        """Return it for a line of many."""
        return f"{self.octets / 2**20:.0f} MiB {self.descriptors} fds {self.threads} thr"


def sample(machine: Machine) -> dict[str, Sample]:
    """Return what each role holds at present."""
    return {role: _held(machine.pids(role)) for role in COMMANDS}


def _held(pids: list[int]) -> Sample:
    page = os.sysconf("SC_PAGESIZE")
    return Sample(
        octets=sum(int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * page for pid in pids),
        descriptors=sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        threads=sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids),
    )


def grown(samples: list[dict[str, Sample]], before: Mapping[str, Sample], after: Mapping[str, Sample]) -> list[str]:
    """Return what is larger than it should be, a sentence each."""
    found = []
    for role in COMMANDS:
        half = samples[len(samples) // 4 : len(samples) // 2] or samples[:1]
        first, last = mean(one[role].octets for one in half), mean(one[role].octets for one in samples[-3:])
        if last > first * MAX_GROWTH + GROWTH_SLACK:
            found.append(f"{role} has grown from {first / 2**20:.0f} to {last / 2**20:.0f} MiB")
        if after[role].descriptors > before[role].descriptors + len(COMMANDS):
            found.append(f"{role} had {before[role].descriptors} descriptors and has {after[role].descriptors}")
    return found


def wrong_records(fleet: Fleet, attempts: Iterable[Attempt]) -> list[str]:
    """Return which records are wrong, a sentence each."""
    found = fleet.python(RECORDS)
    callers = {attempt.from_user: attempt for attempt in attempts}
    faults = (_fault(callers.get(from_uri.removeprefix("sip:").partition("@")[0]), *told) for _, from_uri, *told in found["calls"])
    wrong = [f"{call_id}: {fault}" for (call_id, *_), fault in zip(found["calls"], faults, strict=True) if fault]
    print(f"{len(found['calls'])} records, {len(wrong)} of them off")
    return [*wrong[:10], *([f"{found['open']} rows are open"] if found["open"] else [])]


def _fault(caller: Attempt | None, seconds: float, packets: int | None) -> str:
    """Return what is wrong with a record, empty if it tells what its caller did."""
    if caller is None or caller.answered_at is None or caller.ended_at is None:
        return "nobody placed this call"
    spoke = caller.ended_at - caller.answered_at
    if abs(seconds - spoke) > MAX_SECONDS_OFF:
        return f"{seconds:.2f} s, and its caller was there for {spoke:.2f} s"
    if packets is None or abs(packets - caller.packets_sent) > MAX_PACKETS_OFF:
        return f"the relay heard {packets} packets, and its caller sent {caller.packets_sent}"
    return ""


def complaints(log: str) -> list[str]:
    """Return the lines of a log that are more than information."""
    plain = _COLOUR.sub("", log).splitlines()
    return [line for line in plain if "[warning" in line or "[error" in line or "[critical" in line or "Traceback" in line][:10]


async def run(machine: Machine, callers: Callers, minutes: float) -> list[dict[str, Sample]]:
    """Place calls, and return the samples of each minute."""
    samples = []
    placing = asyncio.create_task(callers.run(minutes * 60))
    while not placing.done():
        await asyncio.wait({placing}, timeout=60)
        samples.append(await asyncio.to_thread(sample, machine))
        held = "  ".join(f"{role} {one}" for role, one in samples[-1].items())
        print(f"{len(samples):3d} min  {len(callers.attempts):6d} calls  {held}", flush=True)
    return samples


def main() -> int:
    """Run for as long as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args()
    backend = TestBackend({"/initiate": DOCUMENT})
    with tempfile.TemporaryDirectory(prefix="sipuri-soak-") as directory:
        fleet = Fleet(Path(directory) / "state", environment={"SIPURI_GUARD_TRUSTED": "127.0.0.1/32"})
        try:
            fleet.start()
            faults = _soak(fleet, backend, options.minutes)
        finally:
            fleet.stop()
            backend.close()
        faults += complaints(fleet.log())
    print("\n".join(faults) or "good")
    return 1 if faults else 0


def _soak(fleet: Fleet, backend: TestBackend, minutes: float) -> list[str]:
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    machine = Machine(fleet)
    place = CallPlace("127.0.0.1", [fleet.sip], lambda: [fleet.sip])
    attempts: list[Attempt] = []
    rested: list[dict[str, Sample]] = []
    for first, length in ((CALLS_EACH, WARM_MINUTES), (0, minutes)):
        callers = Callers(application, place, rate=RATE, seconds=SECONDS, first=first)
        samples = asyncio.run(run(machine, callers, length))
        attempts += callers.attempts
        _settle(backend, sum(not _has_failed(one) for one in attempts))
        rested.append(sample(machine))
    failed = sum(map(_has_failed, attempts))
    faults = [f"{failed} calls failed"] if failed else []
    return faults + grown(samples, *rested) + wrong_records(fleet, attempts)


def _has_failed(attempt: Attempt) -> bool:
    return attempt.answered_at is None or attempt.is_cut


def _settle(backend: TestBackend, ends: int) -> None:
    """Wait until every end was told, and until ports that rest are free again."""
    until(lambda: len(backend.of("disconnect")) >= ends, seconds=60, what=f"{ends} webhooks of ends", every=1)
    time.sleep(PORTS_REST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
