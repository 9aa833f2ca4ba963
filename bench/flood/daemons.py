"""The proxy with two workers and the media relay, as an operator starts them, on SQLite; and access to their figures."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.flood.calls import CALLEE_ADDRESS
from bench.signalling.ours import MAKE_APPLICATION
from bench.signalling.processes import command, memory_mib, trees
from bench.signalling.stack import Caller
from tests.support.fleet import START_SECONDS, Fleet, free_ports, until

WORKERS = 2
ROLES = ("mediarelay", "sipproxy")


@dataclass
class Daemons:
    """The running daemons and their addresses."""

    fleet: Fleet
    caller: Caller

    def memory_mib(self) -> float:
        """Return the memory of the proxy's processes, shared pages counted once."""
        return round(memory_mib(stat.pid for stat in trees({"proxy": self.fleet.processes["sipproxy"].pid})["proxy"]), 1)

    def worker_pid(self, number: int) -> int | None:
        """Return the process id of a worker, None while it is not running."""
        found = trees({"proxy": self.fleet.processes["sipproxy"].pid})["proxy"]
        return next((stat.pid for stat in found if f" --worker {number} " in command(stat.pid)), None)

    def gauges(self, name: str) -> list[float]:
        """Return one metric of each worker, 0 for one that does not answer; each has a page beside the supervisor's."""
        return [_metric(self.fleet.metrics["sipproxy"] + 1 + number, name) for number in range(WORKERS)]

    def wait_for_worker(self, number: int) -> None:
        """Wait until a worker's page answers."""
        until(lambda: _metric(self.fleet.metrics["sipproxy"] + 1 + number, "sipuri_sip_calls") >= 0 or None, seconds=30, what="the worker")

    def kernel_drops(self) -> int:
        """Return how many packets the kernel has dropped, 0 if it does not drop any."""
        host, port = self.caller.proxy
        table = f"sipuri_guard_{host.replace('.', '_')}_{port}"
        shown = subprocess.run(["nft", "-j", "list", "table", "inet", table], capture_output=True, text=True, check=False)
        if shown.returncode:
            return 0
        rules = [item["rule"]["expr"] for item in json.loads(shown.stdout)["nftables"] if "rule" in item]
        return sum(int(part["counter"]["packets"]) for rule in rules for part in rule if "counter" in part)


@contextmanager
def daemons(directory: Path, *, kernel: bool) -> Iterator[Daemons]:
    """Run them on ports of their own; no source is trusted, messages are not stored."""
    (callee,) = free_ports(1)
    environment = {
        "SIPURI_SIP_WORKERS": str(WORKERS),
        "SIPURI_CALLFLOW_TARGETS": f"sip:{CALLEE_ADDRESS}:{callee}",
        "SIPURI_GUARD_TRUSTED": "",
        "SIPURI_GUARD_KERNEL": "auto" if kernel else "off",
        "SIPURI_MESSAGE_STORE_DAYS": "0",
    }
    fleet = Fleet(directory, ROLES, environment)
    fleet.prepare()
    application_id, sip_uri, password = fleet.python(MAKE_APPLICATION)
    try:
        for role in ROLES:
            fleet.spawn(role)
        until(fleet._ready, seconds=START_SECONDS, what=f"the daemons, see {directory}", every=0.3)
        yield Daemons(fleet, Caller(fleet.sip, sip_uri, application_id, callee, password))
    finally:
        fleet.stop()


def _metric(port: int, name: str) -> float:
    """Return a metric of one page, 0 if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:  # noqa: S310  # our own page
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return next((float(line.rpartition(" ")[2]) for line in lines if line.split(" ")[0] == name), 0.0)
