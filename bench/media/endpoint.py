"""`python -m bench.media.endpoint`: one end of all calls; sends or counts RTP as its standard input says.

The calls share a fixed number of sockets, so the work of the ends is the same whatever the number of calls: a relay
tells calls apart by its own ports, the ends by the SSRC. A command is a line of JSON, `{"do": …}`, and so is the answer to
it; the end of the input ends the program. Each packet carries the sender's monotonic clock, which all network namespaces of
a machine share.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import select
import socket
import time
from array import array
from collections.abc import Callable
from struct import Struct
from typing import Any

from bench.media.pacing import TICK_SECONDS, Pacer
from bench.signalling.figures import percentile

PACKET_BYTES = 172
FIRST_PORT = 10_000
SOCKETS = 100
# So that no packet is lost at the ends. Only root may ask for more than rmem_max, by the option of this number (socket(7)).
SO_RCVBUFFORCE, RECEIVE_BYTES = 33, 2**20
QUIET_SECONDS = 0.1
_HEADER = Struct("!BBHIIQ")
_SSRC_AND_CLOCK = Struct("!8xIQ")
INPUT = 0


def media_ports(calls: int) -> list[int]:
    """Return the port of each call; the odd ones between are left to RTCP."""
    return [FIRST_PORT + 2 * (call % SOCKETS) for call in range(calls)]


class Endpoint:
    """The sockets of one end; its packets have the SSRCs from `ssrc` on, those it waits for have the ones from `far_ssrc` on."""

    def __init__(self, host: str, ssrc: int, far_ssrc: int) -> None:
        self._sockets = [_bound(host, port) for port in media_ports(SOCKETS)]
        self._ssrc, self._far_ssrc = ssrc, far_ssrc
        self._ways: list[tuple[Callable[[bytearray, tuple[str, int]], int], tuple[str, int]]] = []
        self._lap = 0
        self._refused = 0
        self._delays = array("q")
        self._poll = select.epoll()
        self._poll.register(INPUT, select.EPOLLIN)
        self._receivers = {sock.fileno(): (number, sock.recv_into) for number, sock in enumerate(self._sockets)}
        for sock in self._sockets:
            self._poll.register(sock, select.EPOLLIN)

    def direct(self, host: str, ports: list[int]) -> dict[str, Any]:
        """Send the packets of each call to its port."""
        self._ways = [(self._sockets[call % SOCKETS].sendto, (host, port)) for call, port in enumerate(ports)]
        return {}

    def send(self, calls: int, rate: float, seconds: float) -> dict[str, Any]:
        """Send over the first calls in turn, beginning with the first; the answer has seconds and CPU seconds."""
        pacer = Pacer(rate)
        self._refused = sent = 0
        cpu, began = _cpu(), time.monotonic()
        tick = began
        while tick - began < seconds:
            count = pacer.due(tick - began)
            self._send_some(sent, count, calls)
            sent += count
            if (pause := tick + TICK_SECONDS - time.monotonic()) > 0:
                time.sleep(pause)
            tick = time.monotonic()
        self._lap += sent // calls + 1
        return {"sent": sent, "seconds": tick - began, "refused": self._refused, "cpu": _cpu() - cpu}

    def _send_some(self, first: int, count: int, calls: int) -> None:
        packet = bytearray(b"\xff" * PACKET_BYTES)
        ways, pack_into, clock, lap_before, ssrc = self._ways, _HEADER.pack_into, time.monotonic_ns, self._lap, self._ssrc
        for number in range(first, first + count):
            lap, call = divmod(number, calls)
            lap += lap_before
            pack_into(packet, 0, 0x80, 0, lap & 0xFFFF, lap * 160 & 0xFFFFFFFF, ssrc + call, clock())
            send, target = ways[call]
            try:
                send(packet, target)
            except OSError:
                self._refused += 1  # It counts as sent, and so as lost.

    def receive(self, calls: int) -> dict[str, Any]:
        """Count until the input has another command and no packet has come for a while; a stray is at the wrong socket, or not ours."""
        _say({})
        cpu = _cpu()
        self._delays = array("q")
        received, strays, ended = [0] * calls, 0, False
        packet = bytearray(2 * PACKET_BYTES)
        receivers, first, late = self._receivers, self._far_ssrc, self._delays.append
        unpack_from, clock = _SSRC_AND_CLOCK.unpack_from, time.monotonic_ns
        while (events := self._poll.poll(QUIET_SECONDS)) or not ended:
            for descriptor, _ in events:
                if descriptor == INPUT:
                    ended = True
                    self._poll.unregister(INPUT)
                    continue
                number, receive = receivers[descriptor]
                size = receive(packet)
                ssrc, sent_at = unpack_from(packet)
                call = ssrc - first
                if size != PACKET_BYTES or not 0 <= call < calls or call % SOCKETS != number:
                    strays += 1
                    continue
                late(clock() - sent_at)
                received[call] += 1
        self._poll.register(INPUT, select.EPOLLIN)
        return {"received": received, "strays": strays, "cpu": _cpu() - cpu}

    def delays(self) -> dict[str, Any]:
        """Return the delays, in milliseconds, of the packets received last."""
        return {f"p{percent}": percentile(self._delays, percent) / 1e6 for percent in (50, 99)}


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
    sock.bind((host, port))
    return sock


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201  # this program's output


def main() -> None:
    """Open the sockets and do what the input says."""
    parser = argparse.ArgumentParser(prog="python -m bench.media.endpoint")
    for name, kind in (("host", str), ("ssrc", int), ("far-ssrc", int), ("core", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    endpoint = Endpoint(given.host, given.ssrc, given.far_ssrc)
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "direct": endpoint.direct,
        "send": endpoint.send,
        "receive": endpoint.receive,
        "delays": endpoint.delays,
    }
    # A garbage collection in the middle would look like a delay; nothing here makes cycles.
    gc.disable()
    # Unbuffered: unread input must stay visible to epoll.
    with open(INPUT, "rb", buffering=0) as lines:
        while line := lines.readline():
            command = json.loads(line)
            _say(commands[command.pop("do")](**command))


if __name__ == "__main__":
    main()
