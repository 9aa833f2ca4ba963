"""A small language for black-box tests of a media relay: `offer`, `answer`, `snd`, `rcv`.

It speaks the ng protocol and RTP over real sockets to any relay, ours or rtpengine. To show that a packet did not come
through, send a second one that must: a relay keeps the order of packets that take the same path.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import socket
from struct import pack

from daemonkit.address import Address
from mediarelay.ng.bencode import decode, encode

TRIES = 40
TRY_SECONDS = 0.25
RECEIVE_SECONDS = 5.0
UNREAD_OCTETS = 1 << 20
"""The receive buffer of an endpoint, as far as the system allows: some seconds of audio."""


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """Return a loopback port that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def packet(sequence: int, payload: bytes = b"\xff" * 160, *, ssrc: int = 7, payload_type: int = 0) -> bytes:
    """Return an RTP packet."""
    return pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, ssrc) + payload


class Endpoint:
    """One RTP socket of a simulated phone."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_OCTETS)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self._socket.bind((host, port))
        self._socket.settimeout(RECEIVE_SECONDS)
        self.address: Address = self._socket.getsockname()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def snd(self, target: Address, data: bytes) -> None:
        """Send one datagram."""
        self._socket.sendto(data, target)

    def rcv(self) -> tuple[bytes, Address]:
        """Return the next datagram and its source; raises TimeoutError after five seconds."""
        return self._socket.recvfrom(65_535)

    def serve(self, dscp: int) -> None:
        """Send with a class of service from now on."""
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)

    def rcv_served(self) -> tuple[bytes, int]:
        """Return the next datagram and its class of service, as `rcv` does."""
        data, ancillary, _, _ = self._socket.recvmsg(65_535, socket.CMSG_SPACE(1))
        ((_, _, octet),) = ancillary
        return data, octet[0] >> 2

    async def hear(self) -> tuple[bytes, Address]:
        """Do the same while an event loop goes on; raises TimeoutError."""
        self._socket.setblocking(False)
        async with asyncio.timeout(RECEIVE_SECONDS):
            return await asyncio.get_running_loop().sock_recvfrom(self._socket, 65_535)

    def waiting(self) -> list[bytes]:
        """Return what has come and has not been read."""
        found: list[bytes] = []
        patience = self._socket.gettimeout()
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(65_535))
        self._socket.settimeout(patience)
        return found

    def sdp(self, *lines: str, host: str | None = None, port: int | None = None) -> bytes:
        """Return a description of this endpoint, or one with false addresses."""
        host, port = host or self.address[0], port or self.address[1]
        head = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 0 101", *lines]
        return "\r\n".join([*head, ""]).encode()


class NgClient:
    """The proxy's end of the ng protocol."""

    def __init__(self, relay: Address) -> None:
        self.relay = relay
        # A relay may remember an answer by its cookie alone, as rtpengine does.
        self._cookies = (f"{secrets.token_hex(4)}-{number}".encode() for number in itertools.count())
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(TRY_SECONDS)

    def __enter__(self) -> NgClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def command(self, name: str, /, **fields: object) -> dict[bytes, object]:
        """Run one command, repeated until it is answered; raises TimeoutError."""
        named = {key.replace("_", "-"): value for key, value in fields.items()}
        cookie = next(self._cookies)
        datagram = cookie + b" " + encode({"command": name, **named})
        for _ in range(TRIES):
            self.raw(datagram)
            reply = self._receive(cookie)
            if reply is not None:
                return reply
        raise TimeoutError(f"The relay did not answer {name}.")

    def raw(self, datagram: bytes) -> None:
        """Send any octets."""
        self._socket.sendto(datagram, self.relay)

    def offer(self, call: str, sdp: bytes, **fields: object) -> Address:
        """Offer from outside as tag `a`; return the address to which the inside is to send its audio."""
        fields = {"direction": ["external", "internal"], "received-from": ["IP4", "127.0.0.1"], **fields}
        return media_of(self.command("offer", call_id=call, from_tag="a", sdp=sdp, replace=["origin"], ICE="remove", **fields))

    def answer(self, call: str, sdp: bytes, **fields: object) -> Address:
        """Answer from inside as tag `b`; return the address to which the outside is to send its audio."""
        return media_of(self.command("answer", call_id=call, from_tag="a", to_tag="b", sdp=sdp, replace=["origin"], ICE="remove", **fields))

    def delete(self, call: str) -> dict[bytes, object]:
        """End a call and return its totals."""
        return self.command("delete", call_id=call, from_tag="a", to_tag="b")

    def _receive(self, cookie: bytes) -> dict[bytes, object] | None:
        while True:
            try:
                data = self._socket.recv(65_535)
            except (TimeoutError, ConnectionRefusedError):
                return None
            got, _, body = data.partition(b" ")
            value = decode(body) if got == cookie else None
            if isinstance(value, dict):
                return value


def media_of(reply: dict[bytes, object]) -> Address:
    """Return address and port of the first stream in a reply; raises AssertionError on an error reply."""
    sdp = reply.get(b"sdp")
    assert isinstance(sdp, bytes), reply
    return address_in(sdp)


def address_in(description: bytes) -> Address:
    """Return where the first stream of a description wants its packets."""
    lines = description.decode().splitlines()
    host = next(line.split()[2] for line in lines if line.startswith("c="))
    return host, next(int(line.split()[1]) for line in lines if line.startswith("m="))
