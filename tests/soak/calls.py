"""`make soak`: calls in both directions for an hour, after which nothing has grown and every record is right.

Each minute the memory, descriptors and threads of every role are noted. At the end, when all calls are over, descriptors are what they
were before the first one, memory is what it was in the first half, the log holds no warning, and the seconds of each record are those
in which the relay heard the caller.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from tests.chaos.callers import Callers, CallPlace
from tests.chaos.machine import COMMANDS, Machine
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until

MINUTES = 60
RATE, SECONDS = 1.5, (5.0, 25.0)
DOCUMENT = '<Response><Record maxDuration="3" terminatingDigits=""/><Pause duration="600"/></Response>'
MAX_GROWTH, GROWTH_SLACK = 1.10, 8 * 1024 * 1024
"""By how much memory may grow from the first half to the end: a part of it, and some octets."""
MAX_SECONDS_OFF = 1.0
PACKETS_A_SECOND = 50
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RECORDS = """
from voiceapps.models import Call, MediaLeg, OpenCall
packets = dict(MediaLeg.objects.filter(leg="external").values_list("call_id", "packets_in"))
rows = Call.objects.exclude(answered_at=None).exclude(ended_at=None)
result = {
    "open": OpenCall.objects.count() + Call.objects.exclude(state="disconnected").count(),
    "calls": [
        [call_id, (ended_at - answered_at).total_seconds(), packets.get(call_id)]
        for call_id, answered_at, ended_at in rows.values_list("call_id", "answered_at", "ended_at")
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
        half = samples[len(samples) // 4 : len(samples) // 2]
        first, last = mean(one[role].octets for one in half), mean(one[role].octets for one in samples[-3:])
        if last > first * MAX_GROWTH + GROWTH_SLACK:
            found.append(f"{role} has grown from {first / 2**20:.0f} to {last / 2**20:.0f} MiB")
        if after[role].descriptors > before[role].descriptors + len(COMMANDS):
            found.append(f"{role} had {before[role].descriptors} descriptors and has {after[role].descriptors}")
    return found


def wrong_records(fleet: Fleet) -> list[str]:
    """Return which records are wrong, a sentence each."""
    found = fleet.python(RECORDS)
    off = [(call_id, seconds, packets) for call_id, seconds, packets in found["calls"] if _is_off(seconds, packets)]
    wrong = [f"{call_id}: {seconds:.2f} s, and the relay heard {packets} packets" for call_id, seconds, packets in off[:10]]
    if found["open"]:
        wrong.append(f"{found['open']} rows are open")
    print(f"{len(found['calls'])} records, {len(off)} of them off")
    return wrong


def _is_off(seconds: float, packets: int | None) -> bool:
    return packets is None or abs(packets / PACKETS_A_SECOND - seconds) > MAX_SECONDS_OFF


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
    before = sample(machine)
    callers = Callers(application, CallPlace("127.0.0.1", [fleet.sip], lambda: [fleet.sip]), rate=RATE, seconds=SECONDS, first=0)
    samples = asyncio.run(run(machine, callers, minutes))
    failed = [one for one in callers.attempts if one.answered_at is None or one.is_cut]
    ends = len(callers.attempts) - len(failed)
    until(lambda: len(backend.of("disconnect")) >= ends, seconds=60, what=f"{ends} webhooks of ends", every=1)
    # Ports rest for a while before they are used again.
    time.sleep(30)
    faults = [f"{len(failed)} calls failed"] if failed else []
    return faults + grown(samples, before, sample(machine)) + wrong_records(fleet)


if __name__ == "__main__":
    sys.exit(main())
