"""A relay between two networks in namespaces of its own: callers and a stranger outside, a call-flow node inside.

The sockets of all hosts belong to this process: a socket stays in the namespace in which it was made. Needs root.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fleet import ROOT, copy_state, until
from tests.support.netns import inside, run
from tests.support.ng import Endpoint, NgClient

RELAY_OUTSIDE, RELAY_INSIDE = "203.0.113.1", "10.77.0.1"
CALLER, MOVED_CALLER, STRANGER, ENGINE = "203.0.113.7", "203.0.113.8", "203.0.113.66", "10.77.0.5"
NG_PORT, METRICS_PORT = 22222, 9400
OUTSIDE_PORTS, INSIDE_PORTS = (30000, 30799), (40002, 40801)
STOP_SECONDS = 15
_numbers = itertools.count()


@dataclass
class MediaLab:
    """The hosts, and the relay's process.

    The plane is one of `SIPURI_MEDIA_PLANE`, of which `kernel` means by routing alone, or `direct`: the kernel, from device to device.
    """

    state: Path
    plane: str
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        tag = f"{os.getpid() % 100_000}-{next(_numbers)}"
        self.hosts = {name: f"sm{name}{tag}" for name in ("relay", "caller", "stranger", "engine")}

    def build(self) -> None:
        """Create the hosts and their links."""
        for name in self.hosts.values():
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
        relay = self.hosts["relay"]
        run(f"ip -n {relay} link add outside type bridge")
        run(f"ip -n {relay} address add {RELAY_OUTSIDE}/24 dev outside")
        run(f"ip -n {relay} link set outside up")
        self._wire("caller", f"{CALLER}/24", bridge="outside")
        run(f"ip -n {self.hosts['caller']} address add {MOVED_CALLER}/24 dev up0")
        self._wire("stranger", f"{STRANGER}/24", bridge="outside")
        self._wire("engine", f"{ENGINE}/24")
        run(f"ip -n {relay} address add {RELAY_INSIDE}/24 dev engine")
        for name, gateway in (("caller", RELAY_OUTSIDE), ("stranger", RELAY_OUTSIDE), ("engine", RELAY_INSIDE)):
            run(f"ip -n {self.hosts[name]} route add default via {gateway}")
        run(f"ip netns exec {relay} sysctl -q -w net.ipv4.ip_forward=1")

    def remove(self) -> None:
        """Remove the hosts."""
        for name in self.hosts.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def start(self) -> None:
        """Start the relay; returns when it answers."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIPURI_")},
            "DJANGO_SETTINGS_MODULE": "sipuri_project.settings",
            "SIPURI_VAR_DIR": str(self.state),
            "SIPURI_NODE_NAME": "lab",
            "SIPURI_SIP_BIND": f"{RELAY_OUTSIDE}:6160",
            "SIPURI_NG_BIND": f"127.0.0.1:{NG_PORT}",
            "SIPURI_MEDIA_EXTERNAL": RELAY_OUTSIDE,
            "SIPURI_MEDIA_INTERNAL": RELAY_INSIDE,
            "SIPURI_RTP_PORTS": "{}-{}".format(*OUTSIDE_PORTS),
            "SIPURI_RTP_INTERNAL_PORTS": "{}-{}".format(*INSIDE_PORTS),
            "SIPURI_MEDIA_PLANE": "kernel" if self.plane == "direct" else self.plane,
            "SIPURI_MEDIA_DIRECT": "false" if self.plane == "kernel" else "true",
            **self.environment,
        }
        command = ["ip", "netns", "exec", self.hosts["relay"], sys.executable, str(ROOT / "manage.py"), "runmediarelay"]
        with (self.state / "relay.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--metrics-port", str(METRICS_PORT), "--drain-seconds", "0"], env=environment, stdout=log, stderr=log
            )
        with self.ng() as ng:
            assert ng.command("ping") == {b"result": b"pong"}

    def stop(self) -> int:
        """Stop the relay in an orderly way and return its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.terminate()
        return process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Kill the relay, as a power failure would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def workers(self) -> dict[int, int]:
        """Return the process of each worker by its number."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii").split()
        commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children}
        return {int(words[words.index(b"--worker") + 1]): child for child, words in commands.items() if b"--worker" in words}

    def open_files(self) -> list[str]:
        """Return what each descriptor of the relay's process refers to."""
        assert self.process is not None
        found = []
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(os.readlink(entry))
        return found

    def goes_first(self) -> bool:
        """Return whether the relay's thread has real-time priority."""
        assert self.process is not None
        return os.sched_getscheduler(self.process.pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR

    def log(self) -> str:
        """Return the relay's log."""
        return (self.state / "relay.log").read_text(encoding="utf-8", errors="replace")

    def ng(self) -> NgClient:
        """Return a client of the relay's ng address, on its host."""
        with inside(self.hosts["relay"]):
            return NgClient(("127.0.0.1", NG_PORT))

    def endpoint(self, host: str, address: str, port: int = 0) -> Endpoint:
        """Return a media socket of a host."""
        with inside(self.hosts[host]):
            return Endpoint(address, port)

    def metrics(self, worker: int | None = None) -> dict[str, float]:
        """Return the metrics page of the relay, or of one of its workers, as a table; raises OSError if nobody answers."""
        port = METRICS_PORT if worker is None else METRICS_PORT + 1 + worker
        with inside(self.hosts["relay"]), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    def rules(self) -> str:
        """Return the kernel's rules on the relay's host."""
        ran = subprocess.run(
            ["ip", "netns", "exec", self.hosts["relay"], "nft", "list", "ruleset"], capture_output=True, text=True, check=True
        )
        return ran.stdout

    def until(self, condition: Callable[[], object], *, what: str) -> None:
        """Wait for a condition, asking at the pace of audio."""
        until(condition, seconds=10, what=what, every=0.02)

    def until_carried(self, flows: int, talk: Callable[[], object]) -> None:
        """Let the ends talk until the kernel carries the given number of directions; if it carries nothing, just let them talk."""
        if self.plane == "userspace":
            talk()
            return

        def carried() -> bool:
            talk()
            page = self.metrics()
            direct = flows if self.plane == "direct" else 0
            return (page["sipuri_relay_kernel_flows"], page["sipuri_relay_direct_flows"]) == (flows, direct)

        self.until(carried, what=f"{flows} flows in the kernel")

    def _wire(self, name: str, address: str, *, bridge: str = "") -> None:
        host, relay = self.hosts[name], self.hosts["relay"]
        run(f"ip -n {host} link add up0 type veth peer name {name} netns {relay}")
        run(f"ip -n {host} address add {address} dev up0")
        if bridge:
            run(f"ip -n {relay} link set {name} master {bridge}")
        run(f"ip -n {host} link set up0 up")
        run(f"ip -n {relay} link set {name} up")


@contextmanager
def lone_host() -> Iterator[None]:
    """Put this thread, and the processes that it starts, on a host that has nothing but its loopback; needs root."""
    name = f"smlone{os.getpid() % 100_000}"
    try:
        run(f"ip netns add {name}")
        run(f"ip -n {name} link set lo up")
        with inside(name):
            yield
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def media_lab(state: Path, plane: str, **environment: str) -> Iterator[MediaLab]:
    """Build the hosts and start a relay on that plane; remove everything afterwards."""
    if os.geteuid():
        raise RuntimeError("Network namespaces need root.")
    copy_state(state)
    lab = MediaLab(state, plane, environment)
    with ExitStack() as ends:
        ends.callback(lab.remove)
        lab.build()
        ends.callback(lab.stop)
        lab.start()
        yield lab
