"""Kamailio's rtpengine module drives our relay: calls of sipp whose audio is compared packet by packet.

SIPURI_MEDIA_CALLS=1000 asks for more calls than `make test` has time for.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.test_mediarelay import Relay, start
from tests.support.fleet import free_ports, until
from tests.support.media_lab import lone_host
from tests.support.rtpengine import ANSWER, CALLS, FIRST_SSRC, PACKETS, Voice, spoken, talk
from tests.support.sipp import ANSWER as ANSWERED
from tests.support.sipp import INSIDE, OFFER, OUTSIDE, Party, Stage, callee, changed, is_open, never_says, says

pytestmark = pytest.mark.daemons

CONFIG = Path(__file__).parents[1] / "data" / "kamailio" / "media.cfg"
COUNT = CALLS or 40
RATE = 10
# A call lasts four seconds; the rest is for a machine that has other things to do.
SECONDS = COUNT / RATE + 60


@pytest.fixture(scope="module", params=["userspace", "kernel"])
def plane(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def relay(root: None, plane: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """On a host of its own, where nobody else has rules in the kernel."""
    pools = {"SIPURI_RTP_PORTS": "30000-32999", "SIPURI_RTP_INTERNAL_PORTS": "40002-42999", "SIPURI_MEDIA_PLANE": plane}
    with lone_host():
        running = start(tmp_path_factory.mktemp("relay"), **pools)
        with running.ng:
            yield running
            assert running.stop() == 0


@dataclass(frozen=True)
class Kamailio:
    """A proxy between callers and one callee."""

    address: tuple[str, int]
    log: Path

    def complaints(self) -> list[str]:
        """Return the lines that tell of trouble."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if re.search(r"ERROR|CRITICAL|ALERT", line)]

    def figures(self) -> list[dict[str, object]]:
        """Return what the relay said of each call before its end."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line.partition("figures of ")[2].partition(": ")[2]) for line in lines if "figures of " in line]


@contextmanager
def kamailio(directory: Path, relay: Relay, *, target: int, managed: bool = False) -> Iterator[Kamailio]:
    """Run Kamailio in front of the callee's port, with the relay for its calls' audio."""
    program = shutil.which("kamailio")
    assert program is not None, "This test needs a Debian package: apt-get install --no-install-recommends kamailio"
    (front,) = free_ports(1)
    running = Kamailio(("127.0.0.1", front), directory / "kamailio.log")
    defines = [f"FRONT={front}", f'CALLEE="sip:127.0.0.1:{target}"', 'RELAY="udp:{}:{}"'.format(*relay.ng.relay), *["MANAGED"] * managed]
    command = [program, "-f", str(CONFIG), "-DD", "-E", "-m", "64", "-M", "8", "-Y", str(directory), "-w", str(directory)]
    with running.log.open("wb") as log:
        process = subprocess.Popen([*command, *(f"-A{define}" for define in defines)], cwd=directory, stdout=log, stderr=log)
    try:
        until(lambda: is_open(front) or process.poll() is not None, seconds=15, what=f"Kamailio, see {running.log}", every=0.02)
        yield running
    finally:
        process.terminate()
        process.wait(15)


def counted(relay: Relay, name: str, *labels: str) -> float:
    """Return the sum of a metric's samples that have all these labels."""
    samples = relay.metrics().items()
    return sum(value for sample, value in samples if sample.partition("{")[0] == name and all(label in sample for label in labels))


def has_nothing_left(relay: Relay) -> bool:
    ports = counted(relay, "sipuri_relay_port_pairs", 'state="in_use"')
    return (counted(relay, "sipuri_relay_sessions"), ports) == (0, 0)


@pytest.mark.timeout(SECONDS + 60)
def test_every_call_has_its_audio_both_ways(relay: Relay, plane: str, tmp_path: Path) -> None:
    ended = counted(relay, "sipuri_relay_sessions_ended_total", 'cause="deleted"')
    with Voice(tmp_path) as caller, Voice(tmp_path, answers=True) as answerer:
        callees = talk(tmp_path, "talking_answer", answerer, target=("127.0.0.1", 9), calls=COUNT)
        with kamailio(tmp_path, relay, target=callees.port) as proxy:
            callers = talk(tmp_path, "talking_call", caller, target=proxy.address, calls=COUNT, rate=RATE)
            try:
                if plane == "kernel":
                    until(lambda: counted(relay, "sipuri_relay_kernel_flows") > 0, seconds=15, what="the kernel carries a call")
                sipp = callers.judged(SECONDS), callees.judged(SECONDS)
            finally:
                callers.stop()
                callees.stop()
            until(lambda: has_nothing_left(relay), seconds=5, what="the relay has no session and no port in use")
    print(f"\n{COUNT} calls, callers {sipp[0]}, callees {sipp[1]}")
    assert [counts["FailedCall"] for counts in sipp] == [0, 0]
    assert [counts["SuccessfulCall"] for counts in sipp] == [COUNT, COUNT]
    calls = range(FIRST_SSRC, FIRST_SSRC + COUNT)
    assert answerer.heard == {call: spoken(call) for call in calls}
    assert caller.heard == {call ^ ANSWER: spoken(call ^ ANSWER) for call in calls}
    # Each answer came from where its question had gone to.
    assert caller.sources == {call ^ ANSWER: {caller.said[call]} for call in calls}
    assert [counted(relay, "sipuri_relay_packets_total", f'side="{side}"') for side in ("external", "internal")] == [COUNT * PACKETS] * 2
    assert proxy.complaints() == []
    assert counted(relay, "sipuri_relay_commands_total", 'result="error"') == 0
    assert counted(relay, "sipuri_relay_commands_total", 'command="other"') == 0
    assert counted(relay, "sipuri_relay_sessions_ended_total", 'cause="timeout"') == 0
    assert counted(relay, "sipuri_relay_sessions_ended_total", 'cause="deleted"') == ended + COUNT


@dataclass(frozen=True)
class Place:
    """Where the two parties of one call meet."""

    stage: Stage
    proxy: Kamailio
    port: int

    def caller(self) -> Party:
        """Return a party that calls; of the callee's addresses it may see none."""
        return Party("sip:callee@callee.example", always=(never_says("m=audio [45][0-9]{4} "),))

    def play(self, caller: Party, callee: Party) -> None:
        """Play a call to its end; both must be content."""
        self.stage.call(caller, (self.port, callee))


@contextmanager
def place(directory: Path, relay: Relay, *, managed: bool) -> Iterator[Place]:
    (port,) = free_ports(1)
    with kamailio(directory, relay, target=port, managed=managed) as proxy:
        stage = Stage(directory, proxy.address)
        yield Place(stage, proxy, port)
        stage.close()
        until(lambda: has_nothing_left(relay), seconds=5, what="the relay has no session and no port in use")
    assert proxy.complaints() == []


@pytest.fixture(params=[False, True], ids=["offer and answer", "manage"])
def here(relay: Relay, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(tmp_path, relay, managed=request.param) as made:
        yield made


@pytest.mark.parametrize("by_caller", [True, False])
def test_a_call_with_a_change_by_each_party(here: Place, by_caller: bool) -> None:
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).gets(200, OUTSIDE).acks()
    second = callee().gets("INVITE", INSIDE).answers(180).answers(200, body=ANSWERED).gets("ACK")
    first.sends("INVITE", body=changed(OFFER, "a=sendonly")).gets(100).gets(200, OUTSIDE, says("a=recvonly")).acks()
    second.gets("INVITE", INSIDE, says("a=sendonly")).answers(200, body=changed(ANSWERED, "a=recvonly")).gets("ACK")
    second.sends("INVITE", body=changed(ANSWERED, "a=sendrecv", version=3)).gets(100).gets(200, INSIDE).acks()
    first.gets("INVITE", OUTSIDE, says("a=sendrecv")).answers(200, body=changed(OFFER, version=3)).gets("ACK")
    one, other = (first, second) if by_caller else (second, first)
    one.sends("BYE").gets(200)
    other.gets("BYE").answers(200)
    here.play(first, second)


def test_a_cancelled_call(here: Place) -> None:
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).cancels().gets(200).gets(487).acks(failure=True)
    here.play(first, callee().gets("INVITE", INSIDE).answers(180).gets("CANCEL").answers(200).answers(487, to="INVITE").gets("ACK"))


def test_a_refused_call(here: Place) -> None:
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(486).acks(failure=True)
    here.play(first, callee().gets("INVITE", INSIDE).answers(486).gets("ACK"))


def test_early_media_and_what_the_relay_knows_of_the_call(relay: Relay, tmp_path: Path) -> None:
    """By rtpengine_manage, rtpengine_query, labels, a branch of the script's own, and rtcp-mux for the caller alone."""
    mux = says("a=rtcp-mux")
    with place(tmp_path, relay, managed=True) as here:
        first = here.caller().sends("INVITE", body=changed(OFFER, "a=rtcp-mux", version=1)).gets(100)
        first.gets(183, OUTSIDE, mux).gets(200, OUTSIDE, mux).acks().sends("BYE").gets(200)
        second = callee().gets("INVITE", INSIDE, never_says("rtcp-mux"))
        second.answers(183, body=ANSWERED).answers(200, body=ANSWERED).gets("ACK").gets("BYE").answers(200)
        here.play(first, second)
    (figures,) = here.proxy.figures()
    assert figures["result"] == "ok"
    tags = figures["tags"]
    assert isinstance(tags, dict)
    assert sorted(tag["label"] for tag in tags.values()) == ["answered", "offered"]
    assert [len(tag["medias"]) for tag in tags.values()] == [1, 1]
