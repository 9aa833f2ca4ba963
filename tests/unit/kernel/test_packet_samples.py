"""Copies as a real kernel makes them of whatever comes to a device; on a host of its own, needs root and nft."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from socket import inet_aton
from struct import pack
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from daemonkit.address import Address
from daemonkit.nft import run_nft
from mediarelay.aio import packet_samples
from mediarelay.aio.netlink import KernelRefused
from mediarelay.aio.packet_samples import MAX_AGE_SECONDS, PacketSamples
from mediarelay.kernel.messages import Message, NetlinkError
from mediarelay.kernel.packet_log import PacketCopy
from mediarelay.kernel.script import SAMPLE_OCTETS
from tests.support.media_lab import lone_host
from tests.support.netns import run
from tests.support.ng import packet

pytestmark = pytest.mark.root

GROUP = 62
SOURCE, LOCAL = ("203.0.113.7", 5000), ("203.0.113.1", 30_000)
IPV4 = 0x0800
PATIENCE = 5
HEADERS = 28
TODAY = 1_800_000_000.0
RULES = f"""table netdev copies {{
 chain c {{ type filter hook ingress device "d1" priority 0; ether type ip log group {GROUP} snaplen {SAMPLE_OCTETS}; }}
}}
"""


@pytest.fixture(autouse=True)
def wire() -> Iterator[socket.socket]:
    """Give a socket of a device at whose other end all that looks like IPv4 is copied."""
    with lone_host():
        run("ip link add d0 type veth peer name d1")
        run("ip link set d1 up")
        run("ip link set d0 up")
        assert run_nft(RULES) == ""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as made:
            made.bind(("d0", 0))
            yield made


class Samples:
    """Keep what is delivered, and wait for so many."""

    def __init__(self) -> None:
        self.found: list[tuple[Address, Address, bytes, float]] = []
        self._came = asyncio.Event()

    def __call__(self, source: Address, local: Address, payload: bytes, at: float) -> None:
        self.found.append((source, local, payload, at))
        self._came.set()

    async def until(self, number: int) -> list[tuple[Address, Address, bytes]]:
        async with asyncio.timeout(PATIENCE):
            while len(self.found) < number:
                self._came.clear()
                await self._came.wait()
        return [sample[:3] for sample in self.found]


def send(wire: socket.socket, *packets: bytes) -> None:
    for octets in packets:
        wire.send(b"\xff" * 6 + b"\x02\0\0\0\0\7" + pack("!H", IPV4) + octets)


def datagram(payload: bytes, *, options: bytes = b"", first: int | None = None, source: Address = SOURCE) -> bytes:
    """Return a packet of IPv4 and UDP without checksums."""
    words = 5 + len(options) // 4
    length = 4 * words + 8 + len(payload)
    head = pack("!BBHHHBBH", 0x40 | words if first is None else first, 0, length, 0, 0, 64, 17, 0)
    ends = inet_aton(source[0]) + inet_aton(LOCAL[0]) + options + pack("!HHHH", source[1], LOCAL[1], 8 + len(payload), 0)
    return head + ends + payload


async def test_a_copy_is_delivered_with_its_ends_and_its_payload(wire: socket.socket) -> None:
    samples, short, long = Samples(), packet(1, b"ab"), packet(2)
    with closing(PacketSamples(GROUP, samples)), capture_logs() as logged:
        send(wire, datagram(short), datagram(long, source=("192.0.2.9", 1)))
        assert await samples.until(2) == [
            (SOURCE, LOCAL, short),
            (("192.0.2.9", 1), LOCAL, long[: SAMPLE_OCTETS - HEADERS]),
        ]
    assert logged == []


async def test_the_payload_follows_the_options_of_ip(wire: socket.socket) -> None:
    samples = Samples()
    with closing(PacketSamples(GROUP, samples)):
        send(wire, datagram(b"payload", options=b"\1\1\1\0"), datagram(b"payload", options=bytes(32)))
        # With 52 octets of header, 60 octets end with that of UDP.
        assert await samples.until(2) == [(SOURCE, LOCAL, b"payload"), (SOURCE, LOCAL, b"")]


async def test_what_is_short_or_odd_is_left_out(wire: socket.socket) -> None:
    samples, whole = Samples(), datagram(b"")
    odd = [whole[:length] for length in (1, 12, 19, 20, 27)]
    odd += [datagram(b"payload", first=first) for first in (0, 0x40, 0x44)]
    odd += [datagram(b"payload", first=0x4F), datagram(bytes(40), first=0x4F)[:60]]
    with closing(PacketSamples(GROUP, samples)), capture_logs() as logged:
        send(wire, *odd, whole)
        assert await samples.until(1) == [(SOURCE, LOCAL, b"")]
    assert logged == []


async def test_many_copies_are_delivered_in_order(wire: socket.socket) -> None:
    samples, sent = Samples(), [pack("!I", number) for number in range(300)]
    with closing(PacketSamples(GROUP, samples)):
        send(wire, *map(datagram, sent))
        assert [payload for _, _, payload in await samples.until(len(sent))] == sent


async def test_a_copy_has_the_moment_of_its_packet_and_not_of_its_reading(wire: socket.socket) -> None:
    samples = Samples()
    with closing(PacketSamples(GROUP, samples)):
        before = time.monotonic()
        send(wire, datagram(b""))
        after = time.monotonic()
        await samples.until(1)
    # The kernel waits for 0.1 s for more; its clock of days and ours differ by what one step of either takes.
    assert before - 0.02 <= samples.found[0][3] <= after + 0.02


@pytest.mark.parametrize(
    ("stamp", "age"),
    [(0.0, 0.0), (TODAY - 0.25, 0.25), (TODAY - 3_600, MAX_AGE_SECONDS), (TODAY + 3_600, 0.0)],
)
async def test_no_copy_is_from_the_future_or_long_ago(
    wire: socket.socket, monkeypatch: pytest.MonkeyPatch, stamp: float, age: float
) -> None:
    monkeypatch.setattr(packet_samples, "read_copy", lambda _: PacketCopy(datagram(b""), stamp))
    monkeypatch.setattr(packet_samples, "time", SimpleNamespace(time=lambda: TODAY, monotonic=time.monotonic))
    samples = Samples()
    with closing(PacketSamples(GROUP, samples)):
        before = time.monotonic()
        send(wire, datagram(b""))
        await samples.until(1)
    assert before <= samples.found[0][3] + age <= time.monotonic()


async def test_a_read_that_fails_is_logged_and_the_next_one_is_not_lost(wire: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = asyncio.Event()

    def refuse(_: Message) -> None:
        failed.set()
        raise NetlinkError("A netlink attribute is truncated.")

    samples = Samples()
    with closing(PacketSamples(GROUP, samples)), capture_logs() as logged:
        monkeypatch.setattr(packet_samples, "read_copy", refuse)
        send(wire, datagram(b"first"))
        async with asyncio.timeout(PATIENCE):
            await failed.wait()
        assert samples.found == []
        monkeypatch.undo()
        send(wire, datagram(b"second"))
        assert await samples.until(1) == [(SOURCE, LOCAL, b"second")]
    assert logged == [{"event": "media_samples_lost", "error": "A netlink attribute is truncated.", "log_level": "warning"}]


async def test_a_group_has_one_reader_until_it_is_closed(wire: socket.socket) -> None:
    first, second = Samples(), Samples()
    with closing(PacketSamples(GROUP, first)) as reader:
        with pytest.raises(KernelRefused) as refused:
            PacketSamples(GROUP, second)
        assert refused.value.number == errno.EPERM
    # It is still there, and lets the group go all the same.
    assert reader
    with closing(PacketSamples(GROUP, second)):
        send(wire, datagram(b"payload"))
        assert await second.until(1) == [(SOURCE, LOCAL, b"payload")]
    assert first.found == []


async def test_other_groups_are_not_heard(wire: socket.socket) -> None:
    other, samples = Samples(), Samples()
    with closing(PacketSamples(GROUP + 1, other)), closing(PacketSamples(GROUP, samples)):
        send(wire, datagram(b"payload"))
        await samples.until(1)
    assert other.found == []
