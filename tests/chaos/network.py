"""Hosts that are network namespaces, on one switch: two of ours, their data, a customer, and a home behind NAT.

data .10: PostgreSQL, Redis    a .11, b .12: every role    customer .20: backend, BIND    home: a telephone behind the router .30
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.netns import run

ADDRESSES = {"data": "198.51.100.10", "a": "198.51.100.11", "b": "198.51.100.12", "customer": "198.51.100.20", "router": "198.51.100.30"}
HOME, HOME_ROUTER = "10.77.9.2", "10.77.9.1"
SWITCH = "switch"
NAT = "table ip nat { chain post { type nat hook postrouting priority 100; oifname up0 masquerade; }; }"


def name_of(host: str) -> str:
    """Return the name of a host's namespace."""
    return f"chaos-{host}"


def at(host: str) -> tuple[str, ...]:
    """Return what a command begins with that runs on a host."""
    return ("ip", "netns", "exec", name_of(host))


def cut(host: str) -> None:
    """Unplug a host."""
    run(f"ip -n {name_of(SWITCH)} link set dev {host} down")


def mend(host: str) -> None:
    """Plug it in again."""
    run(f"ip -n {name_of(SWITCH)} link set dev {host} up")


@contextmanager
def wired() -> Iterator[None]:
    """Make the hosts and their cables; everything is gone after it."""
    hosts = (SWITCH, *ADDRESSES, "home")
    try:
        for host in hosts:
            run(f"ip netns add {name_of(host)}")
            run(f"ip -n {name_of(host)} link set lo up")
        run(f"ip -n {name_of(SWITCH)} link add bridge type bridge")
        run(f"ip -n {name_of(SWITCH)} link set bridge up")
        for host, address in ADDRESSES.items():
            _plug(host, address)
        _make_home()
        yield
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", name_of(host)], check=False, capture_output=True)


def _plug(host: str, address: str) -> None:
    run(f"ip -n {name_of(host)} link add up0 type veth peer name {host} netns {name_of(SWITCH)}")
    run(f"ip -n {name_of(host)} address add {address}/24 dev up0")
    run(f"ip -n {name_of(SWITCH)} link set dev {host} master bridge up")
    run(f"ip -n {name_of(host)} link set up0 up")
    # A packet waits until its host is found again: here no longer than a quarter of a second after its cable is plugged in.
    run(f"ip netns exec {name_of(host)} sysctl -q -w net.ipv4.neigh.up0.retrans_time_ms=250")


def _make_home() -> None:
    home, router = name_of("home"), name_of("router")
    run(f"ip -n {home} link add up0 type veth peer name inside netns {router}")
    run(f"ip -n {home} address add {HOME}/24 dev up0")
    run(f"ip -n {router} address add {HOME_ROUTER}/24 dev inside")
    run(f"ip -n {home} link set up0 up")
    run(f"ip -n {router} link set inside up")
    run(f"ip -n {home} route add default via {HOME_ROUTER}")
    run(f"ip netns exec {router} sysctl -q -w net.ipv4.ip_forward=1")
    subprocess.run(["ip", "netns", "exec", router, "nft", NAT], check=True, capture_output=True)
