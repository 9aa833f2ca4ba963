"""Three hosts in a row, each a network namespace: caller, relay, engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.netns import inside

CALLER, RELAY, ENGINE = NAMES = ("sipuri-bench-caller", "sipuri-bench-relay", "sipuri-bench-engine")
CALLER_ADDRESS, OUTSIDE_ADDRESS = "10.201.0.2", "10.201.0.1"
ENGINE_ADDRESS, INSIDE_ADDRESS = "10.202.0.2", "10.202.0.1"


class NetworkError(Exception):
    """The network cannot be built; the text is the reason."""


@contextmanager
def network() -> Iterator[None]:
    """Build the hosts, with this thread and the programs that it starts on the relay's; raises NetworkError."""
    made = []
    try:
        for name in NAMES:
            _ip("netns", "add", name)
            made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        _wire(CALLER, CALLER_ADDRESS, "outside", OUTSIDE_ADDRESS)
        _wire(ENGINE, ENGINE_ADDRESS, "inside", INSIDE_ADDRESS)
        with inside(RELAY):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            yield
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _wire(host: str, address: str, link: str, gateway: str) -> None:
    """Connect a host to the relay's, and route all that it sends there."""
    _ip("-n", host, "link", "add", "up0", "type", "veth", "peer", "name", link, "netns", RELAY)
    for name, device, own in ((host, "up0", address), (RELAY, link, gateway)):
        _ip("-n", name, "address", "add", f"{own}/24", "dev", device)
        _ip("-n", name, "link", "set", device, "up")
    _ip("-n", host, "route", "add", "default", "via", gateway)


def _ip(*arguments: str) -> None:
    ran = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NetworkError(f"'ip {' '.join(arguments)}' failed: {ran.stderr.strip()}")
