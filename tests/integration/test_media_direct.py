"""When the kernel forwards from device to device, when it does not, and what happens when the ways change."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.test_media_faults import Calls, count, rtp_packets
from tests.support.fleet import ROOT
from tests.support.media_lab import CALLER, ENGINE, RELAY_OUTSIDE, MediaLab, media_lab
from tests.support.netns import run

pytestmark = pytest.mark.daemons


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaLab]:
    with media_lab(tmp_path_factory.mktemp("direct"), "direct") as running:
        yield running
        assert running.stop() == 0
        assert running.rules() == ""
        assert "Traceback" not in running.log()


@pytest.fixture
def calls(lab: MediaLab) -> Iterator[Calls]:
    with ExitStack() as ends:
        made = Calls(lab, 1, ends)
        lab.until_carried(2, made.talk)
        yield made
        made.ng.delete("call-0")


def on_relay(lab: MediaLab, command: str) -> str:
    """Run a command on the relay's host and return what it prints."""
    words = ["ip", "netns", "exec", lab.hosts["relay"], *command.split()]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def direct(lab: MediaLab) -> float:
    return count(lab, "sipuri_relay_direct_flows")


def until_direct(lab: MediaLab, calls: Calls, flows: int) -> None:
    """Talk until so many directions go from device to device."""

    def reached() -> bool:
        calls.talk()
        return direct(lab) == flows

    lab.until(reached, what=f"{flows} flows go from device to device")


def test_what_goes_from_device_to_device_passes_no_filter(lab: MediaLab, calls: Calls) -> None:
    on_relay(lab, "nft add table ip strict { chain forward { type filter hook forward priority 0; policy drop; }; }")
    try:
        for _ in range(100):
            calls.talk()
    finally:
        on_relay(lab, "nft delete table ip strict")


def test_the_status_shows_who_forwards(lab: MediaLab, calls: Calls) -> None:
    command = ["ip", "netns", "exec", lab.hosts["relay"], sys.executable, str(ROOT / "manage.py"), "relaystatus"]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "sipuri_project.settings", "SIPURI_VAR_DIR": str(lab.state)}
    head, *rows = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert head == ("udp:127.0.0.1:22222: 1 sessions, streams by plane: kernel 1, userspace 0, 2 directions from device to device")
    assert [row.split()[:4:2] for row in rows] == [["call-0", "kernel"]] * 2
    outside, inside = calls.ports[0]
    assert [row.split()[3:5] for row in rows] == [
        ["{}:{}".format(*calls.callers[0].address), str(outside[1])],
        ["{}:{}".format(*calls.engines[0].address), str(inside[1])],
    ]


def test_every_packet_is_counted_over_both_ways(lab: MediaLab) -> None:
    with ExitStack() as ends:
        calls = Calls(lab, 3, ends)
        lab.until_carried(6, calls.talk)
        for _ in range(200):
            calls.talk()
        assert [rtp_packets(calls.ng.delete(name)) for name in calls.names] == [2 * calls.said] * 3


def test_a_route_that_changes_is_followed(lab: MediaLab, calls: Calls) -> None:
    run(f"ip -n {lab.hosts['relay']} route add {ENGINE}/32 via {ENGINE} dev engine onlink")
    run(f"ip -n {lab.hosts['relay']} route add {CALLER}/32 dev outside")
    calls.talk()
    run(f"ip -n {lab.hosts['relay']} route change {ENGINE}/32 via 10.77.0.66 dev engine onlink")
    lab.until(lambda: direct(lab) == 0, what="the flows leave")
    run(f"ip -n {lab.hosts['relay']} route del {ENGINE}/32")
    run(f"ip -n {lab.hosts['relay']} route del {CALLER}/32")
    calls.heard()
    until_direct(lab, calls, 2)


@pytest.mark.parametrize(
    ("obstacle", "begin", "end"),
    [
        ("routing rules beyond the usual three", "ip rule add to 192.0.2.0/24 lookup main", "ip rule del to 192.0.2.0/24 lookup main"),
        (
            "IPsec policies",
            f"ip xfrm policy add dir out src {RELAY_OUTSIDE} dst 192.0.2.9 tmpl proto esp mode tunnel",
            f"ip xfrm policy delete dir out src {RELAY_OUTSIDE} dst 192.0.2.9",
        ),
    ],
)
def test_where_packets_may_have_to_go_another_way_they_are_routed(lab: MediaLab, calls: Calls, obstacle: str, begin: str, end: str) -> None:
    on_relay(lab, begin)
    lab.until(lambda: direct(lab) == 0, what="the flows leave")

    def back() -> bool:
        calls.talk()
        return count(lab, "sipuri_relay_kernel_flows") == 2

    lab.until(back, what="the kernel has them again")
    lab.until(lambda: obstacle in lab.log(), what="the log names it")
    for _ in range(20):
        calls.talk()
    assert direct(lab) == 0
    on_relay(lab, end)
    until_direct(lab, calls, 2)


def test_a_device_that_comes_later_is_watched_and_one_that_goes_is_forgotten(lab: MediaLab) -> None:
    before = lab.rules()
    run(f"ip -n {lab.hosts['relay']} link add later type veth peer name later2")
    lab.until(lambda: 'device "later"' in lab.rules(), what="the new device is watched")
    run(f"ip -n {lab.hosts['relay']} link del later")
    lab.until(lambda: lab.rules() == before, what="nothing is left of it")


def test_a_relay_that_finds_an_obstacle_when_it_comes_back_keeps_no_short_way(lab: MediaLab, calls: Calls) -> None:
    lab.kill()
    on_relay(lab, "ip rule add to 192.0.2.0/24 lookup main")
    lab.start()
    try:
        assert (count(lab, "sipuri_relay_kernel_flows"), direct(lab)) == (2, 0)
        assert "to_far" in lab.rules()
        assert " counter packets" not in on_relay(lab, "nft list map netdev sipuri_media_127_0_0_1_22222_0_direct m_direct")
        calls.talk()
    finally:
        on_relay(lab, "ip rule del to 192.0.2.0/24 lookup main")


def test_if_only_the_short_way_is_taken_away_calls_go_on(lab: MediaLab, calls: Calls) -> None:
    (table,) = (line.split()[-1] for line in on_relay(lab, "nft list tables").splitlines() if "netdev" in line)
    on_relay(lab, f"nft delete table netdev {table}")

    def failed() -> bool:
        calls.talk()
        return count(lab, "sipuri_relay_kernel_on") == 0

    lab.until(failed, what="the relay sees that its table is gone")
    for _ in range(20):
        calls.talk()
    lab.until(lambda: "media_plane_failed" in lab.log(), what="the log says so")
