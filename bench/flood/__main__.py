"""A flood beside authenticated calls: none of the calls may fail, their set-up p95 stays under 200 ms, memory stays flat.

After a quiet part, and a while in which bounded tables fill, there are four parts: requests of 200 loopback addresses, each below its
bucket; ten times as many of 20 addresses, which the kernel drops once the proxy has banned them; the first part again while a worker is
killed; then the highest rate that the calls survive, from addresses below their buckets. The senders run at low priority on the same
cores; the rate that they really sent is printed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.flood.calls import Calls
from bench.flood.daemons import Daemons, daemons
from bench.machine import machine
from bench.program import say
from bench.signalling.processes import Program
from tests.support.fleet import ROOT

RESULT = Path(__file__).parents[1] / "results" / "flood.json"
CALL_RATE = 20
P95_MS = 200.0
BUCKET_SHARE = 20  # requests a second from an address that stays below its bucket
SAMPLE_SECONDS = 1.0
FIRST_RATE, MAX_RATE = 500, 16_000
SEARCH_STEP = 1.25


@dataclass(frozen=True, slots=True)
class Flood:
    """INVITEs a second, and as many OPTIONS, from a number of addresses; `net` keeps the addresses of the parts apart."""

    rate: int
    addresses: int
    net: int
    senders: int = 1

    def sources(self) -> list[str]:
        """Return the addresses."""
        return [f"127.{self.net}.{number // 200}.{number % 200 + 1}" for number in range(self.addresses)]


class Bench:
    """The daemons, the callers and the senders, together."""

    def __init__(self, proxy: Daemons, directory: Path) -> None:
        self._proxy = proxy
        self._directory = directory
        self._calls = Calls(proxy.caller, directory)

    def callee(self) -> AbstractContextManager[None]:
        """Answer calls while the context lasts."""
        return self._calls.callee()

    def run(self, name: str, flood: Flood | None, seconds: float, *, beside: Callable[[], None] | None = None) -> dict[str, object]:
        """Flood and call for a number of seconds and return the figures; `beside` runs in the middle."""
        before = self._drops()
        memory = [self._proxy.memory_mib()]
        with self._calls.placed(CALL_RATE, seconds) as outcome, self._sending(name, flood, seconds) as sent:
            until = time.monotonic() + seconds
            helper = threading.Timer(seconds / 3, beside) if beside else None
            if helper:
                helper.start()
            while time.monotonic() < until:
                time.sleep(SAMPLE_SECONDS)
                memory.append(self._proxy.memory_mib())
            bans = max(self._proxy.gauges("sipuri_sip_bans"))
            if helper:
                helper.join()
        figures = {
            **outcome[0].figures(),
            "asked_per_second": 2 * flood.rate if flood else 0,
            "sent_per_second": round(sum(sent)),
            "memory_mib": {"begin": memory[0], "middle": memory[len(memory) // 2], "end": memory[-1], "max": max(memory)},
            "bans": bans,
            # The counters of a killed worker start from zero again.
            "dropped": {name: max(0, round(count - before[name])) for name, count in self._drops().items()},
        }
        p95 = outcome[0].figures()["setup_ms"]["p95"]  # type: ignore[index]  # one of our own figures
        figures["survived"] = outcome[0].failed == 0 and p95 < P95_MS
        say(f"{name}: {json.dumps(figures)}")
        return figures

    def _drops(self) -> dict[str, float]:
        """Return what was dropped so far, by reason."""
        named = {"banned": "sipuri_sip_banned_drops_total", "silenced": "sipuri_sip_silenced_total", "crowded": "sipuri_sip_crowded_total"}
        return {name: sum(self._proxy.gauges(metric)) for name, metric in named.items()} | {"by_kernel": self._proxy.kernel_drops()}

    def kill_worker(self) -> None:
        """Kill a worker; its supervisor starts it again."""
        pid = self._proxy.worker_pid(1)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def highest(self, seconds: float) -> float:
        """Return the highest rate that was sent and survived: INVITE and OPTIONS together, per second."""
        rate, best = FIRST_RATE, 0.0
        while rate <= MAX_RATE:
            flood = Flood(rate, max(1, 2 * rate // BUCKET_SHARE), 40)
            found = self.run(f"search {2 * rate}/s", flood, seconds)
            if not found["survived"]:
                # Try once more: a moment in which the machine had other work says nothing about the rate.
                found = self.run(f"search {2 * rate}/s again", flood, seconds)
            if not found["survived"]:
                break
            best = max(best, float(str(found["sent_per_second"])))
            rate = int(rate * SEARCH_STEP)
        return best

    @contextmanager
    def _sending(self, name: str, flood: Flood | None, seconds: float) -> Iterator[list[float]]:
        """Run the senders; once the context is left, the list holds the rate that each really sent."""
        sent: list[float] = []
        with ExitStack() as ends:
            programs = []
            for number, (kind, sources) in enumerate(_shares(flood) if flood else ()):
                command = self._command(kind, f"{name.replace(' ', '').replace('/', '')}{number}", sources, flood, seconds)
                programs.append(Program(command, directory=ROOT, log=str(self._directory / f"sender-{name.split()[0]}-{number}.out")))
                ends.callback(programs[-1].stop, signal.SIGKILL)
            yield sent
            for program in programs:
                if not program.wait(10):
                    raise RuntimeError(f"A sender does not end, see {program.log}")
                ran = json.loads(program.log.read_text().splitlines()[-1])
                sent.append(ran["sent"] / ran["seconds"])

    def _command(self, kind: str, tag: str, sources: Sequence[str], flood: Flood | None, seconds: float) -> list[str]:
        user, _, host = self._proxy.caller.sip_uri.removeprefix("sip:").partition("@")
        rate = flood.rate / flood.senders if flood else 0.0
        options = {"target": "{}:{}".format(*self._proxy.caller.proxy), "kind": kind, "host": host, "user": user, "tag": tag}
        named = [f"--{name}={value}" for name, value in {**options, "rate": rate, "seconds": seconds}.items()]
        return ["nice", "-n", "10", sys.executable, "-m", "bench.flood.sender", *named, *sources]


def _shares(flood: Flood) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind and the addresses of each sender process."""
    for kind in ("INVITE", "OPTIONS"):
        for number in range(flood.senders):
            yield kind, flood.sources()[number :: flood.senders]


def main() -> None:
    """Start everything, flood, stop everything, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--seconds", type=float, help="length of each part (60; 8 with --quick)")
    parser.add_argument("--search-seconds", type=float, default=10, help="length of each step to the highest rate")
    parser.add_argument("--quick", action="store_true", help="short parts and no search: to try it")
    parser.add_argument("--no-kernel", action="store_true", help="leave the dropping to the proxy")
    given = parser.parse_args()
    seconds = given.seconds or (8 if given.quick else 60)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory(prefix="sipuri-flood-") as name, daemons(Path(name) / "state", kernel=not given.no_kernel) as proxy:
        bench = Bench(proxy, Path(name))
        with bench.callee():
            figures = measure(bench, proxy, seconds, 0 if given.quick else given.search_seconds)
    found = {"bench": "flood", "ours": figures, "ratios": {}, "run": {"seconds": seconds}, "machine": machine()}
    if not given.quick:
        RESULT.write_text(json.dumps(found, indent=4) + "\n")
    say(json.dumps(found))


def measure(bench: Bench, proxy: Daemons, seconds: float, search_seconds: float) -> dict[str, object]:
    """Return the figures of every part."""
    figures: dict[str, object] = {
        "calm": bench.run("calm", None, min(seconds, 10)),
        # Per-address state also grows with the second set of addresses, and no more with the third.
        "filling": bench.run("filling", Flood(2_000, 200, 50), 2 * seconds),
        "filling_again": bench.run("filling again", Flood(2_000, 200, 60), 2 * seconds),
        "below_their_buckets": bench.run("below", Flood(2_000, 200, 10), seconds),
        "above_their_buckets": bench.run("above", Flood(20_000, 20, 20, senders=2), seconds),
        "with_a_worker_killed": bench.run("killed", Flood(2_000, 200, 30), seconds, beside=bench.kill_worker),
    }
    proxy.wait_for_worker(1)
    if search_seconds:
        figures["highest_rate_survived"] = bench.highest(search_seconds)
    return figures


if __name__ == "__main__":
    main()
