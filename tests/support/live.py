"""A caller of the simulated network with real sockets: it talks, hears, and moves to another network when it is told."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from daemonkit.address import Address
from tests.support.ng import address_in
from tests.support.ua import Attempt, Caller

LOUD = bytes((0x80, 0x00)) * 80
PACKET_SECONDS = 0.02


class Talker:
    """An RTP socket that sends a loud tone and counts what it gets."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.local: Address = self.socket.getsockname()
        self.remote: Address | None = None
        self.heard = 0
        self._sequence = 0

    def turn(self) -> None:
        """Send one packet, and take what has come."""
        if self.remote is not None:
            header = struct.pack("!BBHII", 0x80, 0, self._sequence & 0xFFFF, self._sequence * 160 & 0xFFFFFFFF, 7)
            self.socket.sendto(header + LOUD, self.remote)
            self._sequence += 1
        while True:
            try:
                self.socket.recv(2048)
            except BlockingIOError:
                return
            self.heard += 1


class LiveCaller:
    """One call of a `Caller` over UDP, from a thread of its own; commands are run by that thread."""

    def __init__(self, proxy: Address, *, password: str, host: str, shown: str) -> None:
        self.attempt: Attempt | None = None
        self.talker = Talker(host)
        self._shown = shown
        self._socket = _bound(host)
        self.agent = Caller(self._local, proxy, password=password, via=(shown, 5060))
        self.agent.talk_seconds = None
        self._todo: deque[Callable[[], None]] = deque()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        self._socket.close()
        self.talker.socket.close()

    @property
    def _local(self) -> Address:
        address: Address = self._socket.getsockname()
        return address

    @property
    def ended(self) -> str:
        """By whom the call was ended, empty while it is up."""
        return self.attempt.ended if self.attempt else ""

    def call(self, uri: str) -> None:
        """Send the INVITE."""
        self._todo.append(lambda: self._call(uri))

    def move(self, host: str) -> None:
        """Go on from another address, and say so by a re-INVITE."""
        self._todo.append(lambda: self._move(host))

    def ask_for_fax(self) -> None:
        """Offer T.38, which nobody here takes, from an address of its own."""
        lines = ("v=0", "o=- 1 9 IN IP4 {0}", "s=-", "c=IN IP4 {0}", "t=0 0", "m=image 5000 udptl t38", "a=T38FaxVersion:0", "")
        self._todo.append(lambda: self._reinvite("\r\n".join(lines).format("127.0.0.99").encode()))

    def hang_up(self) -> None:
        """Send the BYE."""
        self._todo.append(self._hang_up)

    # In the thread.

    def _call(self, uri: str) -> None:
        self.attempt = self.agent.call(uri, time.monotonic(), body=self._description(1))

    def _move(self, host: str) -> None:
        self._socket.close()
        self._socket = _bound(host)
        self.agent.local = self._local
        remote = self.talker.remote
        self.talker.socket.close()
        self.talker = Talker(host)
        self.talker.remote = remote
        self._reinvite(self._description(2))

    def _hang_up(self) -> None:
        assert self.attempt is not None
        assert self.attempt.leg is not None
        self.agent.send_inside(self.attempt.leg, "BYE", time.monotonic())

    def _reinvite(self, body: bytes) -> None:
        assert self.attempt is not None
        assert self.attempt.leg is not None
        contact = [("Contact", f"<sip:desk@{self._shown}:5060>")]
        self.agent.layer.send_request(
            self.agent.inside(self.attempt.leg, "INVITE", body=body, extra=contact), self.agent.proxy, time.monotonic()
        )

    def _description(self, version: int) -> bytes:
        host, port = self._shown, self.talker.local[1]
        return (
            f"v=0\r\no=- 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        ).encode()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, due - time.monotonic()))
            self._turn(bool(ready))
            if time.monotonic() >= due:
                due += PACKET_SECONDS
                self.talker.turn()
            while self._todo:
                self._todo.popleft()()

    def _turn(self, ready: bool) -> None:
        now = time.monotonic()
        if ready:
            data, source = self._socket.recvfrom(65_535)
            self.agent.receive(data, source, self.agent.local, now)
        self.agent.ring(now)
        for _, data, target in self.agent.take():
            self._socket.sendto(data, target)
        if self.attempt is not None and self.attempt.answer and self.talker.remote is None:
            self.talker.remote = address_in(self.attempt.answer)


def _bound(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made
