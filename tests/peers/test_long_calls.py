"""Calls that last: what telephones, border controllers and gateways do while a document only records, pauses or waits.

All peers call at the same time, each an application of its own, and stay for `SIPURI_PEER_SECONDS` (600). Nobody here may hang
up before that, and every call must end as its caller ends it.
"""

from __future__ import annotations

import math
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
import wave
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, free_ports, until
from tests.support.kamailio import kamailio
from tests.support.live import LiveCaller
from tests.support.phones import baresip_files, linphone_config

SECONDS = int(os.environ.get("SIPURI_PEER_SECONDS", "600"))
PCAPS = Path("/usr/share/sip-tester")
LONG = f"{SECONDS + 120}"
RECORDS = f"<Response><Record maxDuration='{LONG}' silenceTimeout='0' recordCompleteUrl='/recorded'/></Response>"
PAUSES = f"<Response><Pause duration='{LONG}'/></Response>"
WAITS = "<Response><Gather maxDigits='3' firstDigitTimeout='60' gatherUrl='/waited'/></Response>"


@dataclass
class Caller:
    """One peer's application and backend, and how its call is begun and ended."""

    name: str
    document: str
    backend: TestBackend
    application: Application
    directory: Path
    problems: list[str] = field(default_factory=list)
    hang_up: Callable[[], None] | None = None
    calls_again: bool = False
    """Whether its calls end all the time, as they should: then it notes itself what is wrong with them."""
    judge: Callable[[], None] = lambda: None
    """Notes what is wrong with what the call has left behind."""

    def check_is_up(self) -> None:
        """Note if the call was not answered, or has ended by itself."""
        if not self.backend.of("initiate"):
            self.problems.append("never called")
        ended = self.backend.of("disconnect")
        if ended and not self.calls_again:
            self.problems.append(f"ended early: {ended[0]['cause']} {ended[0].get('errorMessage', '')}")

    def leave(self) -> None:
        """Hang up, unless something has gone wrong already."""
        if self.hang_up is None or self.problems:
            return
        try:
            self.hang_up()
        except AssertionError as error:
            self.problems.append(str(error))

    def check_ended(self) -> None:
        """Note if the call did not end by the caller's BYE."""
        try:
            event = self.backend.wait("disconnect", seconds=20)[0]
        except AssertionError as error:
            self.problems.append(f"not ended: {error}")
            return
        if event["cause"] != "hangup" or "answerTime" not in event:
            self.problems.append(f"ended badly: {event}")


class Peers:
    """The peers of the run."""

    def __init__(self, fleet: Fleet, directory: Path, stack: ExitStack) -> None:
        self.fleet = fleet
        self.callers: list[Caller] = []
        self._directory = directory
        self._stack = stack

    def caller(self, name: str, document: str, **sip: object) -> Caller:
        """Make a peer's application, whose backend answers every wait with one more."""
        backend = TestBackend({"/initiate": document, "/waited": _waited})
        self._stack.callback(backend.close)
        application = self.fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status", **sip)
        directory = self._directory / name
        directory.mkdir()
        made = Caller(name, document, backend, application, directory)
        self.callers.append(made)
        return made

    def phone(self, caller: Caller, command: list[str], keyboard: str = "") -> subprocess.Popen[str]:
        """Run a telephone until the end of the test; what it says is in its `log`."""
        assert shutil.which(command[0]), f"This test needs a Debian package: {command[0]}"
        with (caller.directory / "log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=caller.directory,
                env=os.environ | {"HOME": str(caller.directory)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert process.stdin is not None
        process.stdin.write(keyboard)
        process.stdin.flush()
        self._stack.callback(_end, process)
        return process


def _waited(event: dict[str, Any]) -> str:
    """Wait for more digits, until some have come."""
    return "<Response><Pause duration='60'/></Response>" if event["digits"] else WAITS


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait(10)


def _type(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def linphone(peers: Peers, name: str, document: str, settings: str = "") -> None:
    """Call with Linphone as it is installed; at the end it sends three digits if the document waits for them."""
    caller = peers.caller(name, document)
    (caller.directory / "rc").write_text(linphone_config(caller.application, "{}:{};transport=udp".format(*peers.fleet.sip), settings))
    (caller.directory / ".local" / "share" / "linphone").mkdir(parents=True)
    _write_tone(caller.directory / "tone.wav")
    keyboard = f"soundcard use files\nplay tone.wav\ncall {caller.application.sip_uri}\n"
    process = peers.phone(caller, ["linphonec", "-c", "rc"], keyboard)

    def hang_up() -> None:
        if document == WAITS:
            for key in "427":
                _type(process, f"{key}\n")
                time.sleep(0.5)
            digits = [event["digits"] for event in caller.backend.of("gather") if event["digits"]]
            until(lambda: any(event["digits"] for event in caller.backend.of("gather")), seconds=10, what=f"digits, got {digits}")
            sent = next(event["digits"] for event in caller.backend.of("gather") if event["digits"])
            if sent != "427":
                caller.problems.append(f"digits {sent!r}")
        _type(process, "terminate\n")

    caller.hang_up = hang_up


def _write_tone(path: Path) -> None:
    """Write what a telephone without a microphone plays for as long as its call."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack("<20h", *(round(8000 * math.sin(math.pi * n / 10)) for n in range(20))) * 400 * int(LONG))


def baresip(peers: Peers, name: str, document: str, proxy: tuple[str, int]) -> None:
    """Call with baresip."""
    caller = peers.caller(name, document)
    baresip_files(caller.directory, caller.application, "{}:{};transport=udp".format(*proxy))
    process = peers.phone(caller, ["baresip", "-f", str(caller.directory), "-e", f"/dial {caller.application.sip_uri}"])
    caller.hang_up = process.terminate


def stock_sipp(peers: Peers) -> None:
    """Play sipp's own scenario, with its recorded audio, again and again: it knows neither routes nor credentials."""
    caller = peers.caller("uac_pcap", PAUSES, passwordAuthEnabled=False, allowedSourceIps=["0.0.0.0/0"])
    (caller.directory / "pcap").symlink_to(PCAPS)
    target = "{}:{}".format(*peers.fleet.sip)
    over = threading.Event()

    def play() -> None:
        while not over.is_set():
            port, media = free_ports(2)
            command = ["sipp", target, "-sn", "uac_pcap", "-s", caller.application.application_id, "-i", "127.0.0.1", "-p", str(port)]
            command += ["-mp", str(media & ~1), "-m", "1", "-nostdin", "-timeout", "40", "-timeout_error"]
            ran = subprocess.run(command, cwd=caller.directory, capture_output=True, text=True, timeout=90, check=False)
            if ran.returncode:
                caller.problems.append(f"uac_pcap exits {ran.returncode}: {(ran.stdout + ran.stderr)[-300:]}")
                return

    thread = threading.Thread(target=play, daemon=True)
    thread.start()

    def hang_up() -> None:
        over.set()
        thread.join()

    caller.calls_again = True
    caller.hang_up = hang_up


def refused(peers: Peers, stack: ExitStack) -> None:
    """Ask for fax every so often, be refused, and go on talking: the recording must have no hole."""
    caller = peers.caller("refused", RECORDS)
    live = stack.enter_context(LiveCaller(peers.fleet.sip, password=caller.application.password, host="127.0.0.40", shown="127.0.0.40"))
    live.call(caller.application.sip_uri)
    _every(SECONDS / 6, live.ask_for_fax, stack)
    caller.hang_up = live.hang_up

    def judge() -> None:
        recordings = peers.fleet.state / "recordings" / caller.backend.of("initiate")[0]["callId"]
        (path,) = until(lambda: list(recordings.glob("*.wav")), seconds=10, what="the recording")
        silent, seconds = _silent_tenths(path)
        if silent > SECONDS / 10 or seconds < SECONDS - 2:
            caller.problems.append(f"recorded {seconds:.0f} s with {silent} silent tenths")

    caller.judge = judge


def _silent_tenths(path: Path) -> tuple[int, float]:
    """Return how many tenths of a second of a recording are silent, and its length."""
    with wave.open(str(path)) as file:
        samples = array("h", file.readframes(file.getnframes()))
    tenths = [samples[at : at + 800] for at in range(0, len(samples) - 799, 800)]
    return sum(max(map(abs, tenth)) < 5_000 for tenth in tenths), len(samples) / 8000


def moving(peers: Peers, stack: ExitStack) -> None:
    """Change the network in the middle of the call, behind NAT before and after."""
    caller = peers.caller("moving", PAUSES)
    live = stack.enter_context(LiveCaller(peers.fleet.sip, password=caller.application.password, host="127.0.0.30", shown="10.77.1.2"))
    live.call(caller.application.sip_uri)
    heard: list[int] = []

    def move() -> None:
        heard.append(live.talker.heard)
        live.move("127.0.0.31")

    _after(SECONDS / 2, move, stack)

    def hang_up() -> None:
        if not heard or not heard[0] or not live.talker.heard:
            caller.problems.append(f"heard {heard} packets before it moved and {live.talker.heard} after")
        live.hang_up()

    caller.hang_up = hang_up


def _after(seconds: float, action: Callable[[], None], stack: ExitStack) -> None:
    timer = threading.Timer(seconds, action)
    timer.start()
    stack.callback(timer.cancel)


def _every(seconds: float, action: Callable[[], None], stack: ExitStack) -> None:
    for turn in range(1, 6):
        _after(turn * seconds, action, stack)


@contextmanager
def running(fleet: Fleet, directory: Path) -> Iterator[Peers]:
    """Start every peer."""
    with ExitStack() as stack:
        peers = Peers(fleet, directory, stack)
        (directory / "kamailio").mkdir()
        hidden = stack.enter_context(kamailio(directory / "kamailio", proxy=fleet.sip, hides_topology=True))
        for name, document in (("records", RECORDS), ("pauses", PAUSES), ("waits", WAITS)):
            linphone(peers, f"linphone_{name}", document)
        linphone(peers, "linphone_info", WAITS, "use_info=1\nuse_rfc2833=0")
        for name, document in (("records", RECORDS), ("pauses", PAUSES)):
            baresip(peers, f"baresip_{name}", document, fleet.sip)
        baresip(peers, "baresip_hidden", PAUSES, hidden.front)
        stock_sipp(peers)
        refused(peers, stack)
        moving(peers, stack)
        yield peers


@pytest.mark.timeout(SECONDS + 300)
def test_peers_stay_for_as_long_as_they_like(fleet: Fleet, tmp_path: Path) -> None:
    with running(fleet, tmp_path) as peers:
        time.sleep(SECONDS)
        for caller in peers.callers:
            caller.check_is_up()
        for caller in peers.callers:
            caller.leave()
        for caller in peers.callers:
            if not caller.problems:
                caller.check_ended()
                caller.judge()
        problems = {caller.name: caller.problems for caller in peers.callers if caller.problems}
    print(f"\n{len(peers.callers)} peers for {SECONDS} s", file=sys.stderr)
    assert not problems
