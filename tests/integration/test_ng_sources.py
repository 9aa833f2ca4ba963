"""Commands to a relay on a network: who is named may send them, a stranger's go nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediarelay.ng.bencode import decode, encode
from tests.support.fleet import ROOT, until
from tests.support.netns import inside, run
from tests.support.ng import Endpoint

RELAY, PROXY, STRANGER = "10.77.9.1", "10.77.9.2", "10.77.9.3"
NG, METRICS = (RELAY, 22222), 9100
PING = b"1_1 " + encode({"command": "ping"})


@pytest.fixture
def hosts(root: None) -> Iterator[tuple[str, str]]:
    """Two hosts on one network: the relay's, and one with the addresses of a proxy and of a stranger."""
    names = f"ng-relay-{os.getpid()}", f"ng-peers-{os.getpid()}"
    try:
        for name in names:
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
        run(f"ip -n {names[0]} link add up0 type veth peer name up0 netns {names[1]}")
        for name, address in ((names[0], RELAY), (names[1], PROXY), (names[1], STRANGER)):
            run(f"ip -n {name} address add {address}/24 dev up0")
            run(f"ip -n {name} link set up0 up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def start(state: Path, host: str, **changes: str) -> subprocess.Popen[bytes]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SIPURI_")},
        "DJANGO_SETTINGS_MODULE": "sipuri_project.settings",
        "SIPURI_VAR_DIR": str(state),
        "SIPURI_NG_BIND": "{}:{}".format(*NG),
        "SIPURI_MEDIA_PLANE": "userspace",
        **changes,
    }
    command = ["ip", "netns", "exec", host, sys.executable, str(ROOT / "manage.py"), "runmediarelay", "--drain-seconds", "0"]
    return subprocess.Popen([*command, "--metrics-port", str(METRICS)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def is_ready(host: str) -> bool:
    with inside(host):
        try:
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{METRICS}/ready", timeout=2).status == 200)
        except OSError:
            return False


def refused(host: str) -> float:
    with inside(host), urllib.request.urlopen(f"http://127.0.0.1:{METRICS}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith("sipuri_relay_refused_commands_total ")).split()[1])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_forged_command_gets_no_answer_and_is_counted(hosts: tuple[str, str], tmp_path: Path, workers: str) -> None:
    relay = start(tmp_path, hosts[0], SIPURI_NG_ALLOW=f"{PROXY}/32", SIPURI_MEDIA_WORKERS=workers)
    try:
        until(lambda: is_ready(hosts[0]), seconds=30, what="the relay")
        with inside(hosts[1]), Endpoint(STRANGER) as stranger, Endpoint(PROXY) as proxy:
            stranger.snd(NG, PING)
            stranger.snd(NG, b"1_2 " + encode({"command": "offer", "call-id": "c", "from-tag": "t", "sdp": stranger.sdp()}))
            # What the relay answers now came after the stranger's.
            proxy.snd(NG, PING)
            assert decode(proxy.rcv()[0].partition(b" ")[2]) == {b"result": b"pong"}
            assert stranger.waiting() == []
        assert refused(hosts[0]) == 2
    finally:
        relay.terminate()
        relay.communicate(timeout=20)
    assert relay.returncode == 0


def test_without_names_only_the_own_machine_is_heard(hosts: tuple[str, str], tmp_path: Path) -> None:
    relay = start(tmp_path, hosts[0])
    try:
        until(lambda: is_ready(hosts[0]), seconds=30, what="the relay")
        with inside(hosts[1]), Endpoint(PROXY) as proxy:
            proxy.snd(NG, PING)
            with inside(hosts[0]), Endpoint(RELAY) as neighbour:
                neighbour.snd(NG, PING)
                assert decode(neighbour.rcv()[0].partition(b" ")[2]) == {b"result": b"pong"}
            assert proxy.waiting() == []
        assert refused(hosts[0]) == 1
    finally:
        relay.terminate()
        relay.communicate(timeout=20)


@pytest.mark.parametrize("bind", ["0.0.0.0:22222", "8.8.4.4:22222"])
def test_an_address_that_strangers_reach_needs_names(hosts: tuple[str, str], tmp_path: Path, bind: str) -> None:
    relay = start(tmp_path, hosts[0], SIPURI_NG_BIND=bind)
    said = relay.communicate(timeout=30)[1].decode()
    assert relay.returncode == 1
    assert f"SIPURI_NG_BIND is {bind.partition(':')[0]}, where strangers can reach it" in said
