"""Debian's rtpengine as a peer, and sipp calls whose audio is counted packet by packet, through any relay.

sipp does the SIP. The audio of all its calls goes through one socket, a `Voice`, which counts what arrives; sipp cannot do
that. Each call has an SSRC of its own and puts it into each packet, so that no packet can pass for another call's.
"""

from __future__ import annotations

import csv
import heapq
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any, Self

from daemonkit.address import Address
from mediarelay.ng.bencode import decode, encode
from tests.support.fleet import free_ports, until
from tests.support.ng import packet
from tests.support.sipp import is_open

SCENARIOS = Path(__file__).parents[1] / "data" / "sipp"
CALLS = int(os.environ.get("SIPURI_MEDIA_CALLS", "0"))
"""How many calls a thorough run makes; 0 means as many as `make test` has time for."""
START_SECONDS = 15
PACKETS = 60
"""The packets that a voice sends in one call: more than a second of audio."""
PACKET_SECONDS = 0.02
FIRST_SSRC = 0x10000000
ANSWER = 0x20000000
"""The bit by which the SSRC of an answer differs from that of the stream that it answers."""


def spoken(ssrc: int) -> list[bytes]:
    """Return the packets that a voice sends in one call."""
    payload = b"%08x" % ssrc * 20
    return [packet(number, payload, ssrc=ssrc) for number in range(PACKETS)]


class Voice:
    """One RTP socket for one side of many calls: it sends to the ports that sipp logs, or back to whoever sends to it."""

    def __init__(self, directory: Path, *, answers: bool = False) -> None:
        self.said: dict[int, Address] = {}
        """The receiver, by SSRC."""
        self.heard: dict[int, list[bytes]] = {}
        """Packets by SSRC."""
        self.sources: dict[int, set[Address]] = {}
        """The source, by SSRC."""
        self.answers = answers
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_194_304)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self.orders = directory / f"voice-{self.port}"
        """A pipe that sipp takes for its log file."""
        os.mkfifo(self.orders)
        # Open for both: sipp's end of it may come and go.
        self._orders = os.open(self.orders, os.O_RDWR | os.O_NONBLOCK)
        self._unread = b""
        self._due: list[tuple[float, int, int]] = []
        self._over = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        self._socket.close()
        os.close(self._orders)

    def _run(self) -> None:
        doors: list[socket.socket | int] = [self._socket, self._orders]
        while not self._over:
            wait = min(0.1, max(0.0, self._due[0][0] - time.monotonic())) if self._due else 0.1
            ready, _, _ = select(doors, [], [], wait)
            if self._orders in ready:
                *ports, self._unread = (self._unread + os.read(self._orders, 65_536)).split(b"\n")
                for port in ports:
                    self._speak(FIRST_SSRC + len(self.said), ("127.0.0.1", int(port)))
            if self._socket in ready:
                self._listen()
            self._say()
        self._listen()

    def _speak(self, ssrc: int, target: Address) -> None:
        self.said[ssrc] = target
        heapq.heappush(self._due, (time.monotonic(), ssrc, 0))

    def _say(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            at, ssrc, number = heapq.heappop(self._due)
            self._socket.sendto(spoken(ssrc)[number], self.said[ssrc])
            if number + 1 < PACKETS:
                heapq.heappush(self._due, (at + PACKET_SECONDS, ssrc, number + 1))

    def _listen(self) -> None:
        while True:
            try:
                data, source = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            ssrc = int.from_bytes(data[8:12], "big")
            self.heard.setdefault(ssrc, []).append(data)
            self.sources.setdefault(ssrc, set()).add(source)
            if self.answers and ssrc ^ ANSWER not in self.said:
                self._speak(ssrc ^ ANSWER, source)


@dataclass
class Talkers:
    """A sipp process that plays a scenario many times, with the audio of a voice."""

    scenario: str
    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    def judged(self, seconds: float) -> dict[str, int]:
        """Wait for the last call and return sipp's counts; fails with sipp's errors if a call failed."""
        code = self.process.wait(seconds)
        errors = self.directory / f"{self.scenario}.errors"
        assert code == 0, f"{self.scenario}: sipp exits {code}\n{errors.read_text()[-6000:] if errors.exists() else ''}"
        with (self.directory / f"{self.scenario}.csv").open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        return {name: int(last[f"{name}(C)"]) for name in ("SuccessfulCall", "FailedCall", "Retransmissions")}

    def stop(self) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.wait()


def talk(  # noqa: PLR0913  # a caller's options, each by its name
    directory: Path,
    scenario: str,
    voice: Voice,
    *,
    target: Address,
    calls: int,
    rate: int = 10,
    fields: tuple[str, str] | None = None,
) -> Talkers:
    """Start sipp; a callee's port is open when this returns."""
    port, media = free_ports(2)
    command = [
        *("sipp", "{}:{}".format(*target), "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port)),
        *("-mp", str(media), "-key", "voice", str(voice.port), "-trace_logs", "-log_file", str(voice.orders)),
        *("-m", str(calls), "-r", str(rate), "-nostdin"),
        *("-trace_err", "-error_file", f"{scenario}.errors", "-trace_stat", "-stf", f"{scenario}.csv", "-recv_timeout", "20000"),
    ]
    if fields is not None:
        (directory / "fields.csv").write_text("SEQUENTIAL\n" + ";".join(fields) + "\n")
        command += ["-inf", "fields.csv"]
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: is_open(port) or process.poll() is not None, seconds=10, what=f"sipp {scenario} has its port", every=0.005)
    return Talkers(scenario, directory, port, process)


@dataclass
class Rtpengine:
    """A running rtpengine in userspace, with the interfaces that our relay has."""

    directory: Path
    ports: tuple[int, int]
    ng: Address = field(default_factory=lambda: ("127.0.0.1", free_ports(1)[0]))
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The path of its log."""
        return self.directory / f"rtpengine-{self.ng[1]}.log"

    def start(self) -> None:
        """Start it; returns when it answers a ping."""
        program = shutil.which("rtpengine")
        assert program is not None, "This test needs a Debian package: apt-get install --no-install-recommends rtpengine-daemon"
        # Debian's configuration opens an HTTP port and a CLI port; a second instance would collide with the first.
        command = [
            *(program, "--config-file=none", "--foreground", "--log-stderr", "--log-level=5", "--table=-1", "--delete-delay=0"),
            *("--interface=external/127.0.0.1", "--interface=internal/127.0.0.1", "--listen-ng={}:{}".format(*self.ng)),
            *(f"--port-min={self.ports[0]}", f"--port-max={self.ports[1]}", "--num-threads=2"),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log)
        until(self._answers, seconds=START_SECONDS, what=f"rtpengine answers, see {self.log}", every=0.05)

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask(self, command: str, seconds: float = 5) -> dict[bytes, object]:
        """Run an ng command without arguments; raises OSError if no answer comes."""
        # It recognises a repeated command by its cookie alone, whoever sent it.
        cookie = secrets.token_hex(8).encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(seconds)
            asker.connect(self.ng)
            asker.send(cookie + b" " + encode({"command": command}))
            reply = decode(asker.recv(65_535).removeprefix(cookie + b" "))
        assert isinstance(reply, dict)
        return reply

    def figures(self) -> dict[str, int]:
        """Return its counters since its start, and its present sessions and media ports."""
        statistics: Any = self.ask("statistics")[b"statistics"]
        counts = {name.decode(): int(count) for name, count in statistics[b"totalstatistics"].items() if isinstance(count, int)}
        used = sum(interface[b"ports"][b"used"] for interface in statistics[b"interfaces"])
        return {**counts, "sessions": statistics[b"currentstatistics"][b"sessionstotal"], "ports": used}

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            return self.ask("ping", 0.1) == {b"result": b"pong"}
        except OSError:
            return False


@contextmanager
def rtpengine(directory: Path, ports: tuple[int, int]) -> Iterator[Rtpengine]:
    """Run rtpengine with media ports of its own."""
    running = Rtpengine(directory, ports)
    try:
        running.start()
        yield running
    finally:
        running.kill()
