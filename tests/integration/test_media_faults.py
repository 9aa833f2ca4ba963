"""What becomes of calls when the relay is killed, or when the kernel does not do what it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from daemonkit.address import Address
from tests.support.fleet import ROOT
from tests.support.media_lab import CALLER, ENGINE, MediaLab, media_lab
from tests.support.ng import NgClient, packet

pytestmark = pytest.mark.daemons

CALLS = 200
SECONDS_EACH = 0.02
FROM_CALLER = {"received-from": ["IP4", CALLER]}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MediaLab]:
    with media_lab(tmp_path, "direct") as running:
        yield running


class Calls:
    """Many calls at once, their ends' sockets, and how often each end has spoken."""

    def __init__(self, lab: MediaLab, count: int, ends: ExitStack) -> None:
        self.lab = lab
        self.names = [f"call-{number}" for number in range(count)]
        self.ng: NgClient = ends.enter_context(lab.ng())
        self.callers = [ends.enter_context(lab.endpoint("caller", CALLER)) for _ in self.names]
        self.engines = [ends.enter_context(lab.endpoint("engine", ENGINE)) for _ in self.names]
        self.ports: list[tuple[Address, Address]] = []
        for name, caller, engine in zip(self.names, self.callers, self.engines, strict=True):
            inside = self.ng.offer(name, caller.sdp(), **FROM_CALLER)
            self.ports.append((self.ng.answer(name, engine.sdp()), inside))
        self.said = 0

    def say(self) -> None:
        """Let every end send its next packet."""
        self.said += 1
        for caller, engine, (outside, inside) in zip(self.callers, self.engines, self.ports, strict=True):
            caller.snd(outside, packet(self.said))
            engine.snd(inside, packet(self.said, ssrc=9))

    def talk(self) -> None:
        """Let every end send its next packet and see that all arrive."""
        self.say()
        for end in (*self.callers, *self.engines):
            assert end.rcv()[0][:2] == b"\x80\0"

    def heard(self) -> list[int]:
        """Return how many packets have come to each end since they were read last."""
        return [len(end.waiting()) for end in (*self.callers, *self.engines)]


@contextmanager
def speaking(calls: Calls) -> Iterator[None]:
    """Let all ends speak as long as the context lasts."""
    over = threading.Event()

    def speak() -> None:
        while not over.wait(SECONDS_EACH):
            calls.say()

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def count(lab: MediaLab, name: str) -> float:
    return lab.metrics()[name]


def settled(lab: MediaLab, calls: Calls) -> None:
    """Talk until the kernel's counters are read: by then the journal has what came before the kernel took over."""
    counted = count(lab, 'sipuri_relay_packets_total{side="external"}')

    def read() -> bool:
        calls.talk()
        return count(lab, 'sipuri_relay_packets_total{side="external"}') > counted + 2 * CALLS

    lab.until(read, what="the counters are read")


def rtp_packets(reply: dict[bytes, object]) -> int:
    totals = reply[b"totals"]
    assert isinstance(totals, dict)
    packets: int = totals[b"RTP"][b"packets"]
    return packets


def test_a_killed_relay_costs_no_packet_in_the_kernel(lab: MediaLab) -> None:
    with ExitStack() as ends:
        calls = Calls(lab, CALLS, ends)
        lab.until_carried(2 * CALLS, calls.talk)
        settled(lab, calls)
        before = calls.said
        with speaking(calls):
            lab.kill()
            lab.start()
        missed = calls.said - before
        assert missed > 20
        assert calls.heard() == [missed] * (2 * CALLS)
        calls.talk()
        assert count(lab, "sipuri_relay_sessions") == CALLS
        assert count(lab, "sipuri_relay_kernel_flows") == 2 * CALLS
        listed = calls.ng.command("list", limit=1000)[b"calls"]
        assert isinstance(listed, list)
        assert sorted(listed) == sorted(name.encode() for name in calls.names)
        assert [rtp_packets(calls.ng.delete(name)) for name in calls.names] == [2 * calls.said] * CALLS
        assert count(lab, 'sipuri_relay_port_pairs{side="external",state="in_use"}') == 0
        assert count(lab, "sipuri_relay_kernel_flows") == 0
        assert "elements" not in lab.rules()
        assert lab.stop() == 0
        assert lab.rules() == ""


def test_a_call_that_ends_while_the_relay_is_dead_leaves_nothing_behind(lab: MediaLab) -> None:
    with ExitStack() as ends:
        calls = Calls(lab, 2, ends)
        lab.until_carried(4, calls.talk)
        lab.kill()
        journal = next(lab.state.glob("relay-*.journal"))
        journal.write_text("\n".join([*journal.read_text().splitlines(), '{"call":"call-1"}', '{"call":"cut of']))
        lab.start()
        calls.ng.command("ping")
        assert count(lab, "sipuri_relay_sessions") == 1
        assert count(lab, "sipuri_relay_kernel_flows") == 2
        calls.say()
        assert calls.callers[0].rcv()
        assert calls.heard()[1] == 0
        calls.ng.delete("call-0")
        assert "elements" not in lab.rules()


def test_a_relay_that_comes_back_in_userspace_takes_everything_out_of_the_kernel(lab: MediaLab) -> None:
    with ExitStack() as ends:
        calls = Calls(lab, 1, ends)
        lab.until_carried(2, calls.talk)
        lab.kill()
        lab.plane = "userspace"
        lab.start()
        calls.talk()
        assert lab.rules() == ""
        calls.ng.delete("call-0")
        calls.say()
        assert calls.heard() == [0, 0]


def test_a_relay_that_finds_no_plane_when_it_comes_back_takes_its_rules_out_as_well(lab: MediaLab) -> None:
    with ExitStack() as ends:
        calls = Calls(lab, 1, ends)
        lab.until_carried(2, calls.talk)
        lab.kill()
        subprocess.run(["ip", "netns", "exec", lab.hosts["relay"], "sysctl", "-q", "-w", "net.ipv4.ip_forward=0"], check=True)
        lab.plane = "auto"
        lab.start()
        calls.talk()
        assert lab.rules() == ""


def test_where_forwarding_is_dropped_calls_stay_here(lab: MediaLab) -> None:
    rules = "table ip strict { chain forward { type filter hook forward priority 0; policy drop; }; }"
    subprocess.run(["ip", "netns", "exec", lab.hosts["relay"], "nft", rules], check=True)
    with ExitStack() as ends:
        calls = Calls(lab, 1, ends)

        def flagged() -> bool:
            calls.say()
            return count(lab, "sipuri_relay_kernel_lost_streams_total") == 1

        lab.until(flagged, what="the loss is noticed")
        calls.heard()
        for _ in range(30):
            calls.talk()
        assert count(lab, "sipuri_relay_kernel_flows") == 0
        lab.until(lambda: "media_lost_in_kernel" in lab.log(), what="the log says so")


def test_rules_that_somebody_flushed_are_missed_and_made_anew(lab: MediaLab) -> None:
    with ExitStack() as ends:
        calls = Calls(lab, 1, ends)
        lab.until_carried(2, calls.talk)
        subprocess.run(["ip", "netns", "exec", lab.hosts["relay"], "nft", "flush ruleset"], check=True)

        def failed() -> bool:
            calls.talk()
            return count(lab, "sipuri_relay_kernel_on") == 0

        lab.until(failed, what="the relay sees that its rules are gone")
        lab.until(lab.goes_first, what="packets go before ordinary programs again, now that they pass through the relay")
        calls.talk()
        assert rtp_packets(calls.ng.delete("call-0")) > 0
        lab.until(lambda: "media_plane_failed" in lab.log(), what="the log says so")


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("sysctl -q -w net.ipv4.ip_forward=0", "net.ipv4.ip_forward is not 1"),
        ("ip rule add fwmark 0x51000000/0xff000000 lookup main", "a routing rule looks at packets with the mark 0x51000000"),
    ],
)
def test_what_the_kernel_lacks_is_said_in_one_sentence(lab: MediaLab, command: str, missing: str) -> None:
    lab.stop()
    subprocess.run(["ip", "netns", "exec", lab.hosts["relay"], *command.split()], check=True)
    lab.plane = "auto"
    lab.start()
    lab.until(lambda: missing in lab.log(), what="the log names it")
    assert count(lab, "sipuri_relay_kernel_on") == 0
    with ExitStack() as ends:
        Calls(lab, 1, ends).talk()
    assert lab.stop() == 0
    refused = run_once(lab, "kernel")
    assert refused.returncode == 1
    assert f"The kernel cannot forward media: {missing}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_rights_the_relay_forwards_by_itself(lab: MediaLab) -> None:
    lab.stop()
    refused = run_once(lab, "kernel", "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    assert refused.returncode == 1
    assert "the capability CAP_NET_ADMIN is missing" in refused.stderr


def run_once(lab: MediaLab, plane: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    """Start a relay that is to refuse to start."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "sipuri_project.settings", "SIPURI_VAR_DIR": str(lab.state)}
    environment |= {"SIPURI_MEDIA_PLANE": plane, "SIPURI_MEDIA_EXTERNAL": "203.0.113.1", "SIPURI_MEDIA_INTERNAL": "10.77.0.1"}
    command = ["ip", "netns", "exec", lab.hosts["relay"], *prefix, sys.executable, str(ROOT / "manage.py"), "runmediarelay"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
