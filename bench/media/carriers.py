"""What carries the packets between the ends: plain forwarding, rtpengine, our relay in either plane."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from bench.media.endpoint import media_ports
from bench.media.namespaces import CALLER_ADDRESS, ENGINE_ADDRESS, INSIDE_ADDRESS, OUTSIDE_ADDRESS
from bench.signalling.processes import Program, trees
from tests.support.fleet import START_SECONDS, Fleet, until
from tests.support.ng import NgClient

# Nobody else uses the relay's namespace.
NG_PORT, CLI_PORT = 22222, 9900
# One in each direction.
FLOWS_PER_CALL = 2
# The metric, on the relay's page, that counts the flows on the path that long calls take in each plane.
SETTLED = {"userspace": "sipuri_relay_connected_sockets", "kernel": "sipuri_relay_direct_flows"}
_starts = count(1)


@dataclass(frozen=True, slots=True)
class Way:
    """The addresses to which an end sends the packets of each call."""

    host: str
    ports: list[int]


class Carrier(Protocol):
    """A way from the caller to the engine and back, for as many calls as needed."""

    def ways(self, calls: int) -> tuple[Way, Way]:
        """Return the addresses to which the caller and the engine send; makes the calls that are missing."""

    def unsettled(self, calls: int) -> str:
        """Return what is not yet ready for measuring, in one sentence; empty if all is."""

    def cpu(self) -> float:
        """Return the CPU seconds that its processes have used."""


class Plain:
    """The system's own forwarding."""

    def ways(self, calls: int) -> tuple[Way, Way]:
        """Return the ends' own addresses."""
        ports = media_ports(calls)
        return Way(ENGINE_ADDRESS, ports), Way(CALLER_ADDRESS, ports)

    def unsettled(self, _calls: int) -> str:
        """Return an empty string: it is always ready."""
        return ""

    def cpu(self) -> float:
        """Return 0: it has no process."""
        return 0.0


@dataclass
class Relay:
    """A relay that speaks the ng protocol; `settled` counts the flows on their final path, None if nothing has to settle."""

    ng: NgClient
    pid: int
    settled: Callable[[], float] | None = None
    _ways: tuple[Way, Way] = field(init=False, default_factory=lambda: (Way(OUTSIDE_ADDRESS, []), Way(INSIDE_ADDRESS, [])))

    def ways(self, calls: int) -> tuple[Way, Way]:
        """Return the relay's ports."""
        outside, inside = self._ways
        for call in range(len(outside.ports), calls):
            port = media_ports(calls)[call]
            host, number = self.ng.offer(str(call), sdp(CALLER_ADDRESS, port), **{"received-from": ["IP4", CALLER_ADDRESS]})
            _check(host, inside.host)
            inside.ports.append(number)
            host, number = self.ng.answer(str(call), sdp(ENGINE_ADDRESS, port))
            _check(host, outside.host)
            outside.ports.append(number)
        return Way(outside.host, outside.ports[:calls]), Way(inside.host, inside.ports[:calls])

    def unsettled(self, calls: int) -> str:
        """Return how many flows have settled, if some have not."""
        found = self.settled() if self.settled else FLOWS_PER_CALL * calls
        return "" if found >= FLOWS_PER_CALL * calls else f"{found:g} of {FLOWS_PER_CALL * calls} flows have settled"

    def cpu(self) -> float:
        """Return the CPU seconds that the relay and its workers have used."""
        return sum(stat.cpu for stat in trees({"relay": self.pid})["relay"])

    def end_calls(self) -> None:
        """Delete every call."""
        for call in range(len(self._ways[0].ports)):
            self.ng.delete(str(call))


def sdp(host: str, port: int) -> bytes:
    """Return the description of one end of a call."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 0", "a=sendrecv", ""]
    return "\r\n".join(lines).encode()


def _check(found: str, expected: str) -> None:
    if found != expected:
        raise RuntimeError(f"The relay names {found} in its SDP, not {expected}.")


@contextmanager
def _plain(_directory: Path, _workers: int) -> Iterator[Carrier]:
    yield Plain()


@contextmanager
def _rtpengine(directory: Path, _workers: int) -> Iterator[Carrier]:
    # As Debian ships it: at real-time priority its threads keep our sender off its core, and carry less. Its default
    # timeouts would end a call while others are made.
    command = [
        *("rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1"),
        *(f"--interface=external/{OUTSIDE_ADDRESS}", f"--interface=internal/{INSIDE_ADDRESS}"),
        *(f"--listen-ng=127.0.0.1:{NG_PORT}", f"--listen-cli=127.0.0.1:{CLI_PORT}", "--port-min=30000", "--port-max=60000"),
        *("--timeout=3600", "--silent-timeout=3600", f"--pidfile={directory / 'rtpengine.pid'}"),
    ]
    program = Program(command, directory=directory, log="rtpengine.log")
    try:
        with NgClient(("127.0.0.1", NG_PORT)) as ng:
            try:
                ng.command("ping")
            except TimeoutError as error:
                raise RuntimeError(f"rtpengine does not answer:\n{program.log.read_text()[-2000:]}") from error
            yield Relay(ng, program.pid)
    finally:
        program.stop(signal.SIGTERM)


def _ours(plane: str) -> Callable[[Path, int], AbstractContextManager[Carrier]]:
    @contextmanager
    def start(directory: Path, workers: int) -> Iterator[Carrier]:
        fleet = Fleet(directory / f"ours-{next(_starts)}", ("mediarelay",), _environment(plane, workers))
        fleet.prepare()
        try:
            fleet.spawn("mediarelay")
            until(fleet._ready, seconds=START_SECONDS, what=f"our relay ready, see {fleet.state}", every=0.1)
            with NgClient(("127.0.0.1", NG_PORT)) as ng:
                page = fleet.metrics["mediarelay"]
                relay = Relay(ng, fleet.processes["mediarelay"].pid, lambda: _figure(page, SETTLED[plane]))
                yield relay
                # At its end it drains, and waits for any calls that are left.
                relay.end_calls()
        finally:
            fleet.stop()

    return start


def _environment(plane: str, workers: int) -> dict[str, str]:
    environment = {
        "SIPURI_MEDIA_PLANE": plane,
        "SIPURI_MEDIA_EXTERNAL": OUTSIDE_ADDRESS,
        "SIPURI_MEDIA_INTERNAL": INSIDE_ADDRESS,
        "SIPURI_MEDIA_ALLOW_PRIVATE": "true",
        "SIPURI_NG_BIND": f"127.0.0.1:{NG_PORT}",
    }
    # The process needs no core of its own for what the kernel carries.
    return environment | {"SIPURI_MEDIA_WORKERS": str(workers if plane == "userspace" else 1)}


def _figure(port: int, name: str) -> float:
    """Return a figure of the relay's page, or the sum over its workers' pages, whose ports follow."""
    alone, *workers = (_gauge(number, name) for number in range(port, port + 1 + (os.cpu_count() or 1)))
    return max(alone, sum(workers))


def _gauge(port: int, name: str) -> float:
    """Return the sum of a page's samples, 0 if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:  # noqa: S310  # our own page
            lines = page.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.split(" ")[0].split("{")[0] == name)


PLAIN, PEER, USERSPACE, KERNEL = "plain", "rtpengine", "ours-userspace", "ours-kernel"
CARRIERS: Mapping[str, Callable[[Path, int], AbstractContextManager[Carrier]]] = {
    PLAIN: _plain,
    PEER: _rtpengine,
    USERSPACE: _ours("userspace"),
    KERNEL: _ours("kernel"),
}
