"""One call of the generator: its sockets, what it says and what it hears."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from enum import Enum
from struct import Struct

from bench.voice.dialog import Dialog, offer
from bench.voice.tally import FRAME_TICKS, Tally
from callflow.secure.sdes import Crypto, Keys, Suite
from callflow.secure.srtp import SecureChannel, SrtpError
from callflow.sip.sdp_answer import RemoteSdp
from daemonkit.address import Address
from sipproxy.headers.call_headers import MediaSecurity

LOUD = bytes((0x80, 0x00)) * (FRAME_TICKS // 2)
"""20 ms of µ-law that no engine takes for silence."""
SUITE = Suite.AES_CM_128_80
"""What most telephones offer first."""
MAX_TRIES = 50
SO_TIMESTAMPNS = 35
_SSRC = 0x5EED
_HEADER = Struct("!BBHII")
_READ = Struct("!2xHI")
_TIMESPEC = Struct("=qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_DATAGRAM_BYTES = 2048


class State(Enum):
    """How far a call is."""

    CALLING = "calling"
    UP = "up"
    LEAVING = "leaving"
    OVER = "over"
    REFUSED = "refused"
    CUT = "cut"
    """The far end hung up."""


class Caller:
    """A call. Its audio goes out when the generator says so, and what came is read then, too."""

    def __init__(self, dialog: Dialog, host: str, security: MediaSecurity) -> None:
        self.dialog = dialog
        self.due = 0.0
        """When the next packet is to leave."""
        self.refused = 0
        """Packets that the system would not send."""
        self.security = security
        self.sent = 0
        self.state = State.CALLING
        self.tally = Tally()
        self._channel: SecureChannel | None = None
        self._crypto = Crypto(1, SUITE, secrets.token_bytes(SUITE.octets)) if security is not MediaSecurity.PLAIN else None
        self._media, self._reports = _pair(host)
        self._proven = False

    def offer(self) -> bytes:
        """Return the description of the audio."""
        return offer(self._media.getsockname(), self._crypto)

    def connect(self, answer: bytes, due: float) -> None:
        """Take the answer to the offer, and say the first 20 ms at `due`; raises PeerError, and ValueError if it is not encrypted."""
        description = RemoteSdp.parse(answer, self.security)
        self._media.connect(description.audio().address)
        if self._crypto is not None:
            if not description.crypto:
                raise ValueError("The answer names no key.")
            self._channel = SecureChannel(Keys(self._crypto, description.crypto[0]))
        self._proven = self._channel is None
        self.due, self.state = due, State.UP

    def speak(self) -> None:
        """Say 20 ms."""
        packet = _HEADER.pack(0x80, 0, self.sent & 0xFFFF, self.sent * FRAME_TICKS & 0xFFFF_FFFF, _SSRC) + LOUD
        self.sent += 1
        try:
            self._media.send(packet if self._channel is None else self._channel.seal(packet, is_rtcp=False))
        except OSError:
            self.refused += 1

    def listen(self) -> None:
        """Read all that has come."""
        receive, take, unpack = self._media.recvmsg, self.tally.take, _READ.unpack_from
        while True:
            try:
                data, ancillary, _, _ = receive(_DATAGRAM_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # An ICMP error of an earlier packet surfaces.
            if len(data) < _HEADER.size:
                self.tally.strays += 1
                continue
            if not self._proven:
                self._prove(data)
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            sequence, timestamp = unpack(data)
            take(sequence, timestamp, seconds + nanoseconds / 1e9)

    @property
    def is_secret(self) -> bool:
        """Whether the first packet was encrypted as agreed, or nothing had to be."""
        return self._proven

    def close(self) -> None:
        """Close the sockets."""
        self._media.close()
        self._reports.close()

    def _prove(self, data: bytes) -> None:
        """See whether the far end encrypts; the later packets are only counted, as their headers are readable."""
        if self._channel is not None:
            with suppress(SrtpError):
                self._channel.open(data, is_rtcp=False)
                self._proven = True


def _pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Return a socket at an even port and one above it, which is never read: it keeps reports from bouncing."""
    for _ in range(MAX_TRIES):
        media = _bound((host, 0))
        port = media.getsockname()[1]
        with suppress(OSError):
            if port % 2 == 0:
                return media, _bound((host, port + 1))
        media.close()
    raise RuntimeError("There is no pair of ports for a call's audio.")


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
