"""A relay core with a simulated shell: every wanted pair binds, unless told otherwise."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from daemonkit.address import Address
from mediarelay.config import Interface, RelayConfig
from mediarelay.core.addresses import Side
from mediarelay.core.events import Event, PairReleased, PairWanted
from mediarelay.kernel.events import KernelEvent
from mediarelay.ng.bencode import decode, encode
from mediarelay.relay import MediaRelay

DATA = Path(__file__).parents[2] / "data" / "sdp"
SPEECH = b"\x7e\xfa\x10\x9c"
PROXY: Address = ("127.0.0.1", 9999)
CALLER = "198.51.100.7"
ENGINE = "10.0.0.5"
OUTSIDE = Interface("10.0.0.1", "203.0.113.1")
INSIDE = Interface("10.0.0.1", "10.0.0.1")


def sdp(host: str, port: int, *lines: str, media: str = "m=audio {port} RTP/AVP 0 101") -> bytes:
    head = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", media.format(port=port), *lines]
    return "\r\n".join([*head, ""]).encode()


def rtp(sequence: int, *, ssrc: int = 1, payload_type: int = 0, size: int = 172) -> bytes:
    head = bytes((0x80, payload_type)) + (sequence & 0xFFFF).to_bytes(2, "big")
    return head + ((sequence * 160) & 0xFFFFFFFF).to_bytes(4, "big") + ssrc.to_bytes(4, "big") + (SPEECH * (size // 4))[: size - 12]


def ports_in(body: object) -> list[int]:
    assert isinstance(body, bytes)
    return [int(line.split()[1]) for line in body.split(b"\r\n") if line.startswith(b"m=")]


class RelayHarness:
    """Feeds commands and packets and keeps the time."""

    def __init__(self, *, unbindable: frozenset[int] = frozenset(), epoch: float = 0.0, **changes: object) -> None:
        fields: dict[str, object] = {"external_ports": (30000, 30099), "internal_ports": (40002, 40101), **changes}
        config = RelayConfig("relay-1", ("127.0.0.1", 0), OUTSIDE, INSIDE, **fields)  # type: ignore[arg-type]  # the test names the fields
        self.relay = MediaRelay(config, choose=random.Random(7).randrange, epoch=epoch)
        self.now = 100.0
        self.bound: set[tuple[Side, int]] = set()
        self.events: list[Event] = []
        self.on_kernel: Callable[[KernelEvent], None] | None = None
        """Answers what the core asks of the kernel."""
        self._unbindable = unbindable
        self._cookie = 0

    def ng(self, command: str, /, **fields: object) -> dict[bytes, object]:
        """Run one command and return its reply."""
        self._cookie += 1
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        (reply,) = self.raw(b"%d " % self._cookie + encode({"command": command, **named}))
        cookie, _, body = reply.partition(b" ")
        assert cookie == b"%d" % self._cookie
        value = decode(body)
        assert isinstance(value, dict)
        return value

    def raw(self, datagram: bytes) -> list[bytes]:
        """Feed any octets to the ng port and return the replies."""
        self.relay.receive_datagram(datagram, PROXY, self.now)
        self.pump()
        return [data for data, _ in self.relay.datagrams_to_send()]

    def pump(self) -> None:
        """Bind and close what the core asks for."""
        while (event := self.relay.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, PairWanted) and event.port in self._unbindable:
                self.relay.port_failed(event.side, event.port, self.now)
            elif isinstance(event, PairWanted):
                self.bound.add((event.side, event.port))
                self.relay.port_bound(event.side, event.port, self.now)
            elif isinstance(event, PairReleased):
                self.bound.discard((event.side, event.port))
            elif isinstance(event, KernelEvent):
                assert self.on_kernel is not None
                self.on_kernel(event)

    def advance(self, seconds: float) -> None:
        """Let time pass, with every timer in between."""
        end = self.now + seconds
        while (due := self.relay.get_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.relay.handle_timer(self.now)
            self.pump()
        self.now = end

    def offer(self, body: bytes = sdp(CALLER, 5000), *, source: str = CALLER, **fields: object) -> int:
        """Make the usual offer from outside and return the internal port."""
        reply = self.ng(
            "offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"], received_from=["IP4", source], **fields
        )
        assert reply[b"result"] == b"ok", reply
        return ports_in(reply[b"sdp"])[0]

    def reoffer(self, body: bytes, *, source: str = CALLER, **fields: object) -> dict[bytes, object]:
        """Offer from outside in the dialog, as our proxy does, and return the reply."""
        fields = {"to_tag": "b", "direction": ["external", "internal"], "received_from": ["IP4", source], **fields}
        return self.ng("offer", call_id="c-1", from_tag="a", sdp=body, **fields)

    def answer(self, body: bytes = sdp(ENGINE, 6000), **fields: object) -> int:
        """Answer from inside and return the external port."""
        reply = self.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=body, **fields)
        assert reply[b"result"] == b"ok", reply
        return ports_in(reply[b"sdp"])[0]

    def media(self, port: int, data: bytes, source: Address) -> tuple[Address, Address | None] | None:
        """Feed a media datagram; return the addresses from which and to which it leaves."""
        buffer = bytearray(2048)
        buffer[: len(data)] = data
        flow = self.relay.receive_media(("10.0.0.1", port), buffer, len(data), source, self.now)
        return (flow.local, flow.target) if flow else None
