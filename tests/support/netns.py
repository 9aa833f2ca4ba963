"""Network namespaces that a test creates and removes: a server, a router that masquerades, a phone behind it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
SERVER, ROUTER, PHONE = "sipuri-server", "sipuri-router", "sipuri-phone"
SERVER_ADDRESS = "198.51.100.1"
PHONE_ADDRESS = "10.77.1.2"
# A short idle time-out, as a router has: keeping the flow open is the system's task.
FLOW_SECONDS = 30

_libc = ctypes.CDLL(None, use_errno=True)


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


@contextmanager
def behind_nat() -> Iterator[None]:
    """Build the three hosts, with this thread and the processes it starts inside the server."""
    try:
        for name in (SERVER, ROUTER, PHONE):
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
        _wire(SERVER, f"{SERVER_ADDRESS}/24", ROUTER, "198.51.100.2/24", "outside")
        _wire(PHONE, f"{PHONE_ADDRESS}/24", ROUTER, "10.77.1.1/24", "inside")
        run(f"ip -n {PHONE} route add default via 10.77.1.1")
        for setting in ("net.ipv4.ip_forward=1", f"net.netfilter.nf_conntrack_udp_timeout_stream={FLOW_SECONDS}"):
            run(f"ip netns exec {ROUTER} sysctl -q -w {setting}")
        rules = "table ip nat { chain post { type nat hook postrouting priority 100; oifname outside masquerade; }; }"
        subprocess.run(["ip", "netns", "exec", ROUTER, "nft", rules], check=True, capture_output=True)
        with inside(SERVER):
            yield
    finally:
        for name in (SERVER, ROUTER, PHONE):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _wire(host: str, address: str, router: str, gateway: str, name: str) -> None:
    run(f"ip -n {host} link add up0 type veth peer name {name} netns {router}")
    run(f"ip -n {host} address add {address} dev up0")
    run(f"ip -n {router} address add {gateway} dev {name}")
    run(f"ip -n {host} link set up0 up")
    run(f"ip -n {router} link set {name} up")


@contextmanager
def alone(*addresses: str) -> Iterator[None]:
    """Give this thread, and all threads and processes that it starts, a network of its own: loopback with further addresses."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        run("ip link set lo up")
        for address in addresses:
            run(f"ip address add {address}/32 dev lo")
        yield
    finally:
        _enter(home)
        os.close(home)


@contextmanager
def inside(name: str) -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(there)
        os.close(home)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
