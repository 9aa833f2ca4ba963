"""Calls by sipp: several callers, each with a source port of its own, and one callee."""

from __future__ import annotations

import csv
import resource
import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.signalling.ports import free_ports, is_free
from bench.signalling.processes import Program
from bench.signalling.stack import SIPP_ADDRESS, Caller
from tests.support.fleet import until

SCENARIOS = Path(__file__).with_name("scenarios")
# What a call may take beyond its own time; a call that has not ended by then has failed.
GRACE_SECONDS = 4
FINISH_SECONDS = 3
RINGING_MS = 100
MAX_OPEN_CALLS = 10_000
# Date, time, seconds since 1970, sent or received, Call-ID, CSeq, first line.
SHORT_MESSAGE_FIELDS = 7
_runs = count(1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls a second, for how long, from how many source ports; `options` are sipp's own, for callers and callee."""

    rate: int
    seconds: float
    ports: int
    options: tuple[str, ...] = ()

    @property
    def calls_each(self) -> int:
        """Calls of each sipp process."""
        return max(1, round(self.rate * self.seconds / self.ports))

    @property
    def calls(self) -> int:
        """All calls."""
        return self.calls_each * self.ports


@dataclass(frozen=True, slots=True)
class Outcome:
    """What sipp saw on both sides: times in milliseconds, `sipp_cpu` in seconds."""

    calls: int
    failed: int
    retransmissions: int
    challenge: list[float] = field(repr=False)
    setup: list[float] = field(repr=False)
    sipp_cpu: float

    @property
    def clean(self) -> bool:
        """Whether each call went through at its first try."""
        return not self.failed and not self.retransmissions


class Load:
    """Runs plans, each in a subdirectory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def run(self, caller: Caller, plan: Plan) -> Outcome:
        """Place the calls and wait for their end, at most `GRACE_SECONDS` longer than they should take."""
        directory = self.new_directory()
        (directory / "fields.csv").write_text(caller.fields())
        before = _reaped_cpu()
        with ExitStack() as ends:
            callee = Program(_callee(caller, plan), directory=directory, log="callee.out")
            ends.callback(callee.stop, signal.SIGKILL)
            until(lambda: not is_free(caller.callee_port), seconds=10, what=f"the callee, see {directory}", every=0.02)
            callers = []
            for port, media in zip(free_ports(plan.ports), free_ports(plan.ports), strict=True):
                callers.append(Program(_caller(caller, plan, port, media), directory=directory, log=f"caller{port}.out"))
                ends.callback(callers[-1].stop, signal.SIGKILL)
                # Each caller calls at even intervals; started at once, all would call at the same moments.
                time.sleep(1 / plan.rate)
            deadline = time.monotonic() + plan.seconds + GRACE_SECONDS
            for program in callers:
                if not program.wait(deadline - time.monotonic()):
                    program.stop(signal.SIGUSR1, patience=0.5)
            if not callee.running():
                raise RuntimeError(f"sipp as callee ended, see {directory}")
            # The first signal lets it finish its calls and write its figures.
            callee.stop(signal.SIGUSR1, patience=FINISH_SECONDS)
        return _outcome(directory, plan, _reaped_cpu() - before)

    def new_directory(self) -> Path:
        """Make a directory for one run; `latest` links to the last one."""
        self.latest = self._directory / f"sipp-{next(_runs):03}"
        self.latest.mkdir()
        return self.latest


def _common(scenario: str, port: int, media: int, plan: Plan) -> list[str]:
    return [
        *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", SIPP_ADDRESS, "-bind_local", "-p", str(port)),
        *("-mi", SIPP_ADDRESS, "-mp", str(media), "-nostdin", "-trace_stat", "-stf", f"{scenario}{port}.csv"),
        *("-fd", "1", "-deadcall_wait", "1000", "-trace_err"),
        *plan.options,
    ]


def _callee(caller: Caller, plan: Plan) -> list[str]:
    return ["sipp", *_common("callee", caller.callee_port, free_ports(1)[0], plan), "-d", str(RINGING_MS)]


def _caller(caller: Caller, plan: Plan, port: int, media: int) -> list[str]:
    # A number of calls in a number of seconds, as the rate may not divide by the ports.
    rate = ("-r", str(plan.rate), "-rp", str(1000 * plan.ports), "-m", str(plan.calls_each), "-l", str(MAX_OPEN_CALLS))
    # Its short message log has microseconds; its response times would be whole ticks of 4 ms.
    times = ("-trace_shortmsg", "-inf", "fields.csv")
    return ["sipp", "{}:{}".format(*caller.proxy), *_common("caller", port, media, plan), *rate, *times]


def _outcome(directory: Path, plan: Plan, sipp_cpu: float) -> Outcome:
    callers = [last_row(path.read_text()) for path in directory.glob("caller*.csv")]
    callees = [last_row(path.read_text()) for path in directory.glob("callee*.csv")]
    succeeded = sum(int(row["SuccessfulCall(C)"]) for row in callers)
    failed = max(plan.calls - succeeded, sum(int(row["FailedCall(C)"]) for row in callees))
    retransmissions = sum(int(row["Retransmissions(C)"]) for row in [*callers, *callees])
    challenge: list[float] = []
    setup: list[float] = []
    for path in directory.glob("caller_*_shortmessages.log"):
        times = set_up_times(path.read_text().splitlines())
        challenge += times[0]
        setup += times[1]
    return Outcome(plan.calls, failed, retransmissions, challenge, setup, sipp_cpu)


def last_row(text: str) -> dict[str, str]:
    """Return sipp's last figures by their names."""
    *_, row = csv.DictReader(text.splitlines(), delimiter=";")
    return row


def set_up_times(lines: Iterable[str]) -> tuple[list[float], list[float]]:
    """Return the milliseconds from each call's first INVITE to its 407, and to its 200, from sipp's short message log."""
    began: dict[str, float] = {}
    challenge: dict[str, float] = {}
    setup: dict[str, float] = {}
    for line in lines:
        fields = line.split("\t")
        if len(fields) != SHORT_MESSAGE_FIELDS or not fields[5].endswith(" INVITE"):
            continue
        at, call_id, first_line = float(fields[2]) * 1000, fields[4], fields[6]
        if first_line.startswith("INVITE "):
            began.setdefault(call_id, at)
        elif first_line.startswith("SIP/2.0 407"):
            challenge.setdefault(call_id, at - began[call_id])
        elif first_line.startswith("SIP/2.0 200"):
            setup.setdefault(call_id, at - began[call_id])
    return list(challenge.values()), list(setup.values())


def _reaped_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
