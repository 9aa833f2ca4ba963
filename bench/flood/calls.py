"""Authenticated calls by sipp, from several source addresses: each stays far below the bucket of one source."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.signalling.figures import percentiles
from bench.signalling.load import SCENARIOS, last_row, set_up_times
from bench.signalling.processes import Program
from bench.signalling.stack import Caller
from tests.support.fleet import free_ports, until
from tests.support.sipp import is_open

CALLEE_ADDRESS = "127.0.4.1"
CALLER_ADDRESSES = tuple(f"127.0.5.{number}" for number in range(1, 5))
RINGING_MS = 20
# A lost datagram is sent again after 0.5 s, 1 s, 2 s, …: a call that has not ended by then has failed.
GRACE_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the callers saw; set-up times in milliseconds, from the first INVITE to the 200."""

    calls: int
    failed: int
    retransmissions: int
    setup: list[float]

    def figures(self) -> dict[str, object]:
        """Return the figures to print."""
        return {
            "calls": self.calls,
            "failed": self.failed,
            "retransmissions": self.retransmissions,
            "setup_ms": percentiles(self.setup) | {"max": round(max(self.setup, default=float("nan")), 3)},
        }


class Calls:
    """The callee, and callers that place a number of calls per second while something else happens."""

    def __init__(self, caller: Caller, directory: Path) -> None:
        self._caller = caller
        self._directory = directory
        self._runs = 0

    @contextmanager
    def callee(self) -> Iterator[None]:
        """Answer calls while the context lasts."""
        command = ["sipp", *_common("callee", CALLEE_ADDRESS, self._caller.callee_port), "-d", str(RINGING_MS)]
        callee = Program(command, directory=self._directory, log="callee.out")
        try:
            until(lambda: is_open(self._caller.callee_port), seconds=10, what="the callee", every=0.02)
            yield
        finally:
            callee.stop(signal.SIGUSR1, patience=2)

    @contextmanager
    def placed(self, rate: int, seconds: float) -> Iterator[list[Outcome]]:
        """Place calls while the context runs; the list holds the outcome once it is left."""
        self._runs += 1
        directory = self._directory / f"calls-{self._runs:02}"
        directory.mkdir()
        (directory / "fields.csv").write_text(self._caller.fields())
        each = max(1, round(rate * seconds / len(CALLER_ADDRESSES)))
        found: list[Outcome] = []
        with ExitStack() as ends:
            callers = []
            deadline = time.monotonic() + seconds + GRACE_SECONDS
            for address in CALLER_ADDRESSES:
                callers.append(Program(self._command(address, rate, each), directory=directory, log=f"{address}.out"))
                ends.callback(callers[-1].stop, signal.SIGKILL)
                # Each caller calls at even intervals; started at once, all would call at the same moments.
                time.sleep(1 / rate)
            yield found
            for program in callers:
                if not program.wait(deadline - time.monotonic()):
                    program.stop(signal.SIGUSR1, patience=0.5)
        found.append(_outcome(directory, each * len(CALLER_ADDRESSES)))

    def _command(self, address: str, rate: int, calls: int) -> list[str]:
        pace = ("-r", str(rate), "-rp", str(1000 * len(CALLER_ADDRESSES)), "-m", str(calls), "-l", "10000")
        (port,) = free_ports(1)
        target = "{}:{}".format(*self._caller.proxy)
        return ["sipp", target, *_common("caller", address, port), *pace, "-trace_shortmsg", "-inf", "fields.csv"]


def _common(scenario: str, address: str, port: int) -> list[str]:
    return [
        *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", address, "-bind_local", "-p", str(port), "-mi", address),
        *("-mp", str(free_ports(1)[0]), "-nostdin", "-trace_stat", "-stf", f"{scenario}{port}.csv", "-fd", "1", "-trace_err"),
    ]


def _outcome(directory: Path, calls: int) -> Outcome:
    rows = [last_row(path.read_text()) for path in directory.glob("caller*.csv")]
    succeeded = sum(int(row["SuccessfulCall(C)"]) for row in rows)
    setup = [at for path in directory.glob("caller_*_shortmessages.log") for at in set_up_times(path.read_text().splitlines())[1]]
    return Outcome(calls, calls - succeeded, sum(int(row["Retransmissions(C)"]) for row in rows), setup)
