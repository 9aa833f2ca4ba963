"""The real relay process, driven over ng by its only client there is: sockets."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fleet import copy_state, until
from tests.support.ng import Endpoint, NgClient, free_port, media_of, packet

pytestmark = pytest.mark.daemons

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 15


@dataclass
class Relay:
    """A running `runmediarelay` and how to reach it."""

    process: subprocess.Popen[bytes]
    ng: NgClient
    metrics_port: int
    database: Path

    def metrics(self) -> dict[str, float]:
        """Return the metrics page as a table."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    def stop(self) -> int:
        """End it without a drain, whatever a failed test left behind, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)


def start(folder: Path, under: Sequence[str] = (), **changes: str) -> Relay:
    ng_port, metrics_port = free_port(), free_port(socket.SOCK_STREAM)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "sipuri_project.settings",
        "SIPURI_VAR_DIR": str(folder),
        "SIPURI_NG_BIND": f"127.0.0.1:{ng_port}",
        "SIPURI_NODE_NAME": "test",
        "SIPURI_MEDIA_ALLOW_PRIVATE": "true",
        "SIPURI_MEDIA_PLANE": "userspace",
        "SIPURI_RTP_PORTS": "21000-21199",
        "SIPURI_RTP_INTERNAL_PORTS": "22000-22199",
        **changes,
    }
    manage = [sys.executable, str(ROOT / "manage.py")]
    copy_state(folder)
    with (folder / "stderr.txt").open("wb") as stderr:
        command = [*under, *manage, "runmediarelay", "--metrics-port", str(metrics_port)]
        process = subprocess.Popen(command, env=environment, stderr=stderr)
    ng = NgClient(("127.0.0.1", ng_port))
    assert ng.command("ping") == {b"result": b"pong"}
    return Relay(process, ng, metrics_port, folder / "sipuri.sqlite3")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    running = start(tmp_path_factory.mktemp("relay"))
    with running.ng:
        yield running
        assert running.stop() == 0


@pytest.fixture
def phone() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def engine() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def test_audio_goes_both_ways_byte_for_byte(relay: Relay, phone: Endpoint, engine: Endpoint) -> None:
    inside = relay.ng.offer("both", phone.sdp())
    outside = relay.ng.answer("both", engine.sdp())
    for number in range(50):
        said, heard = packet(number, os.urandom(160)), packet(number, os.urandom(160), ssrc=9)
        phone.snd(outside, said)
        assert engine.rcv() == (said, inside)
        engine.snd(inside, heard)
        assert phone.rcv() == (heard, outside)
    totals = relay.ng.delete("both")[b"totals"]
    assert isinstance(totals, dict)
    assert totals[b"RTP"] == {b"packets": 100, b"bytes": 17_200, b"errors": 0}


def test_a_phone_behind_nat_is_learned_and_strangers_are_not(relay: Relay, phone: Endpoint, engine: Endpoint) -> None:
    inside = relay.ng.offer("nat", phone.sdp(host="192.168.77.5", port=4000))
    outside = relay.ng.answer("nat", engine.sdp())
    phone.snd(outside, packet(1, b"first"))
    assert engine.rcv()[0] == packet(1, b"first")
    with Endpoint("127.0.0.66") as thief:
        for number in range(20):
            thief.snd(outside, packet(number, b"stolen"))
            thief.snd(inside, packet(number, b"stolen"))
        # What the relay lets through after the spray is the phone's and the engine's only.
        phone.snd(outside, packet(2, b"second"))
        assert engine.rcv()[0] == packet(2, b"second")
        engine.snd(inside, packet(2, b"answer"))
        assert phone.rcv() == (packet(2, b"answer"), outside)
    relay.ng.delete("nat")


def test_rtcp_has_its_own_port(relay: Relay, engine: Endpoint) -> None:
    # Two neighbouring ports need a little luck outside the relay; the description names the second one.
    report = b"\x80\xc9\0\1\0\0\0\7"
    with Endpoint() as phone, Endpoint() as phone_rtcp:
        inside = relay.ng.offer("rtcp", phone.sdp(f"a=rtcp:{phone_rtcp.address[1]}"))
        outside = relay.ng.answer("rtcp", engine.sdp())
        phone.snd(outside, packet(1))
        engine.rcv()
        engine.snd(inside, packet(1))
        phone.rcv()
        with Endpoint() as engine_rtcp:
            engine_rtcp.snd((inside[0], inside[1] + 1), report)
            assert phone_rtcp.rcv() == (report, (outside[0], outside[1] + 1))
            phone_rtcp.snd((outside[0], outside[1] + 1), report)
            assert engine_rtcp.rcv() == (report, (inside[0], inside[1] + 1))
    relay.ng.delete("rtcp")


def test_hold_and_reoffer_keep_the_ports(relay: Relay, phone: Endpoint, engine: Endpoint) -> None:
    inside = relay.ng.offer("hold", phone.sdp())
    outside = relay.ng.answer("hold", engine.sdp())
    assert relay.ng.offer("hold", phone.sdp("a=sendonly")) == inside
    assert relay.ng.answer("hold", engine.sdp("a=recvonly")) == outside
    reply = relay.ng.command("offer", call_id="hold", from_tag="b", to_tag="a", sdp=engine.sdp(), direction=["internal", "external"])
    assert media_of(reply) == outside
    assert media_of(relay.ng.command("answer", call_id="hold", from_tag="b", to_tag="a", sdp=phone.sdp())) == inside
    phone.snd(outside, packet(1))
    assert engine.rcv() == (packet(1), inside)
    relay.ng.delete("hold")


def test_a_released_port_is_drained_and_not_given_again(relay: Relay, phone: Endpoint, engine: Endpoint) -> None:
    relay.ng.offer("old", phone.sdp())
    outside = relay.ng.answer("old", engine.sdp())
    phone.snd(outside, packet(1))
    engine.rcv()
    relay.ng.delete("old")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
        other.bind(outside)
    late = relay.metrics()['sipuri_relay_dropped_packets_total{reason="late"}'] if _has_late(relay) else 0.0
    phone.snd(outside, packet(2))
    relay.ng.command("ping")
    for number in range(20):
        relay.ng.offer(f"new-{number}", phone.sdp())
        assert relay.ng.answer(f"new-{number}", engine.sdp()) != outside
        relay.ng.delete(f"new-{number}")
    assert relay.metrics()['sipuri_relay_dropped_packets_total{reason="late"}'] == late + 1


def _has_late(relay: Relay) -> bool:
    return 'sipuri_relay_dropped_packets_total{reason="late"}' in relay.metrics()


def test_malformed_datagrams_cost_nobody_anything(relay: Relay, phone: Endpoint, engine: Endpoint) -> None:
    inside = relay.ng.offer("firm", phone.sdp())
    outside = relay.ng.answer("firm", engine.sdp())
    for junk in (b"", b"x", b"7 ", b"7 d", b"7 d7:commandi1ee", b"7 d7:command5:offere", b"\x40" + os.urandom(1399), b"7 " + b"l" * 60_000):
        relay.ng.raw(junk)
        phone.snd(outside, junk[:1400])
        phone.snd((outside[0], outside[1] + 1), junk[:1400])
    phone.snd(outside, packet(1))
    assert engine.rcv() == (packet(1), inside)
    assert relay.ng.command("nonsense") == {b"result": b"error", b"error-reason": b"Unrecognized command."}
    relay.ng.delete("firm")


def test_a_drained_stop_waits_for_its_calls_and_reports_them(tmp_path: Path, phone: Endpoint, engine: Endpoint) -> None:
    relay = start(tmp_path)
    with relay.ng:
        relay.ng.offer("c-last", phone.sdp())
        outside = relay.ng.answer("c-last", engine.sdp())
        phone.snd(outside, packet(1))
        engine.rcv()
        assert relay.metrics()["sipuri_relay_sessions"] == 1
        relay.process.send_signal(signal.SIGTERM)
        while relay.ng.command("offer", call_id="c-new", from_tag="a", sdp=phone.sdp()).get(b"error-reason") != b"draining":
            relay.ng.command("delete", call_id="c-new", from_tag="a")
        phone.snd(outside, packet(2))
        assert engine.rcv()[0] == packet(2)
        relay.ng.delete("c-last")
        assert relay.process.wait(STOP_SECONDS) == 0
    with closing(sqlite3.connect(relay.database)) as database:
        rows = database.execute("SELECT leg, packets_in, packets_out, final FROM voiceapps_medialeg WHERE call_id = 'c-last'").fetchall()
        assert sorted(rows) == [("external", 2, 0, 1), ("internal", 0, 2, 1)]
        assert database.execute("SELECT name, state FROM voiceapps_node").fetchall() == [("mediarelay-test", "down")]


def test_one_way_audio_is_told_in_the_calls_ladder(tmp_path: Path, phone: Endpoint, engine: Endpoint) -> None:
    relay = start(tmp_path)
    with relay.ng:
        inside = relay.ng.offer("c-deaf", phone.sdp(host="192.168.77.5", port=4000), **{"received-from": ["IP4", "127.0.0.9"]})
        relay.ng.answer("c-deaf", engine.sdp())
        number = iter(range(1_000_000))

        def told() -> list[tuple[str, str, str]]:
            engine.snd(inside, packet(next(number), os.urandom(160)))
            with closing(sqlite3.connect(relay.database)) as database:
                return database.execute("SELECT leg, source, first_line FROM voiceapps_callevent WHERE call_id = 'c-deaf'").fetchall()

        ((leg, source, text),) = until(told, seconds=10, what="the ladder says so", every=0.1)
        assert (leg, source) == ("caller", "192.168.77.5:4000")
        assert text.startswith("No audio comes from the caller. The session description says 192.168.77.5:4000, a private address,")
    assert relay.stop() == 0


@pytest.mark.parametrize(
    ("changes", "under", "expected"),
    [
        ({}, (), os.SCHED_RR),
        ({"SIPURI_MEDIA_REALTIME": "false"}, (), os.SCHED_OTHER),
        ({}, ("setpriv", "--bounding-set=-sys_nice", "prlimit", "--rtprio=0"), os.SCHED_OTHER),
    ],
    ids=["allowed", "unwanted", "not allowed"],
)
def test_packets_go_before_ordinary_programs(
    tmp_path: Path, phone: Endpoint, engine: Endpoint, changes: dict[str, str], under: Sequence[str], expected: int
) -> None:
    """As root, who may; the database's threads and all others stay ordinary."""
    relay = start(tmp_path, under, **changes)
    with relay.ng:
        relay.ng.offer("c-first", phone.sdp())
        phone.snd(relay.ng.answer("c-first", engine.sdp()), packet(1))
        assert engine.rcv()[0] == packet(1)
        threads = [int(entry.name) for entry in Path(f"/proc/{relay.process.pid}/task").iterdir()]
        policies = {thread: os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK for thread in threads}
        assert policies.pop(relay.process.pid) == expected
        assert set(policies.values()) == {os.SCHED_OTHER}
        relay.ng.delete("c-first")
    assert relay.stop() == 0
    said = (tmp_path / "stderr.txt").read_text(encoding="utf-8")
    assert ("CAP_SYS_NICE" in said) is bool(under)


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with Endpoint() as other:
        environment = {**os.environ, "SIPURI_VAR_DIR": str(tmp_path), "SIPURI_NG_BIND": f"127.0.0.1:{other.address[1]}"}
        environment["DJANGO_SETTINGS_MODULE"] = "sipuri_project.settings"
        command = [sys.executable, str(ROOT / "manage.py"), "runmediarelay"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"UDP 127.0.0.1:{other.address[1]} is already in use." in done.stderr
    assert "Traceback" not in done.stderr
