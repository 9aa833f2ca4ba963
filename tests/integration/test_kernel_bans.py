"""A flood in a namespace of its own is dropped by the kernel, while somebody else calls."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import ROOT, until
from tests.support.netns import _wire, inside, run
from tests.support.sipp import ANSWER, OFFER, Party, Scene, Stage, callee, scene

SERVER, FLOODER, CALLER = "sipuri-guarded", "sipuri-flooder", "sipuri-caller"
SERVER_ADDRESS, CALLER_ADDRESS, FLOODER_ADDRESS = "198.51.100.1", "198.51.100.2", "203.0.113.2"
TABLE = ("inet", "sipuri_guard_198_51_100_1_6160")
FLOOD = f"""
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
lines = ("OPTIONS sip:{SERVER_ADDRESS} SIP/2.0", "Via: SIP/2.0/UDP h;branch=z9hG4bKx", "From: <sip:a@b>;tag=f", )
data = "\\r\\n".join((*lines, "To: <sip:{SERVER_ADDRESS}>", "Call-ID: flood", "CSeq: 1 OPTIONS", "", "")).encode()
while True:
    for _ in range(20):
        sock.sendto(data, ("{SERVER_ADDRESS}", 6160))
    time.sleep(0.005)
"""


@pytest.fixture
def server(root: None) -> Iterator[None]:
    try:
        for name in (SERVER, FLOODER, CALLER):
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
        _wire(CALLER, f"{CALLER_ADDRESS}/24", SERVER, f"{SERVER_ADDRESS}/24", "calls")
        _wire(FLOODER, f"{FLOODER_ADDRESS}/24", SERVER, "203.0.113.1/24", "flood")
        run(f"ip -n {FLOODER} route add default via 203.0.113.1")
        with inside(SERVER):
            yield
    finally:
        for name in (SERVER, FLOODER, CALLER):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture
def here(server: None, tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, SIPURI_SIP_BIND=f"{SERVER_ADDRESS}:6160", SIPURI_MEDIA_EXTERNAL=SERVER_ADDRESS) as made:
        yield made
    # A proxy that stops leaves nothing in the kernel.
    assert "sipuri_guard" not in subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout


def dropped() -> int:
    """Return how many packets the kernel has dropped."""
    shown = subprocess.run(["nft", "-j", "list", "table", *TABLE], check=True, capture_output=True, text=True).stdout
    rules = [item["rule"]["expr"] for item in json.loads(shown)["nftables"] if "rule" in item]
    return sum(int(part["counter"]["packets"]) for rule in rules for part in rule if "counter" in part)


def call(here: Scene, directory: Path) -> subprocess.CompletedProcess[str]:
    """Place a call from the caller's namespace; sipp is content with it or is not."""
    party = Party(here.application.sip_uri).sends("INVITE", body=OFFER).gets(100).gets(180).gets(200).acks().sends("BYE").gets(200)
    (directory / "outside.xml").write_text(party.scenario("outside"))
    command = ["sipp", f"{SERVER_ADDRESS}:6160", "-sf", "outside.xml", "-i", CALLER_ADDRESS, "-m", "1", "-nostdin", "-timeout", "10"]
    return subprocess.run(
        ["ip", "netns", "exec", CALLER, *command, "-timeout_error"], cwd=directory, capture_output=True, text=True, timeout=20, check=False
    )


def test_a_flood_ends_in_the_kernel_and_others_call(here: Scene, tmp_path: Path) -> None:
    assert dropped() == 0
    stage = Stage(tmp_path, (SERVER_ADDRESS, 6160))
    answering = callee().gets("INVITE").answers(180).answers(200, body=ANSWER).gets("ACK").gets("BYE").answers(200)
    flood = subprocess.Popen(["ip", "netns", "exec", FLOODER, sys.executable, "-c", FLOOD], cwd=ROOT)
    try:
        until(lambda: dropped() > 100, seconds=20, what="the kernel drops")
        called = stage.plays(answering, port=here.port)
        ran = call(here, tmp_path)
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr + here.fleet.log("sipproxy")[-2000:]
        until(lambda: called.code is not None, seconds=5, what="the callee's end")
        called.judged()
        before = dropped()
        until(lambda: dropped() > before, seconds=5, what="the flood goes on")
    finally:
        flood.kill()
        flood.wait()
        stage.close()
    assert here.fleet.gauge("sipproxy", "sipuri_sip_bans") == 1
    assert here.fleet.gauge("sipproxy", "sipuri_sip_kernel_bans") == 1
    rows = here.fleet.python("from voiceapps.models import Ban\nresult = list(Ban.objects.values_list('source_ip', 'reason'))")
    assert rows == [[FLOODER_ADDRESS, "flood"]]
