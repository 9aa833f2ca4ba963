"""The kernel itself between two other hosts; needs root and nft.

The relay's host does not route: what arrives behind it was sent there from device to device, and what the rules do not
take arrives at a socket of the relay.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from select import select
from socket import inet_aton
from struct import pack
from typing import Any

import pytest

from daemonkit.address import Address
from daemonkit.nft import run_nft
from mediarelay.aio.direct_table import DirectTable
from mediarelay.aio.netlink import NETFILTER, ROUTE, KernelRefused, NetlinkSocket
from mediarelay.config import Interface, RelayConfig
from mediarelay.kernel.direct_script import (
    LONGEST_PACKET,
    MAP,
    attach_script,
    create_direct_script,
    delete_direct_script,
    direct_rules,
    direct_table_name,
)
from mediarelay.kernel.flow import Counts, KernelFlow
from mediarelay.kernel.packet_log import bind_group, read_copy
from mediarelay.kernel.routes import Device, Hop, ask_devices, read_device
from mediarelay.kernel.script import SAMPLE_OCTETS
from mediarelay.kernel.set_elements import MAX_ELEMENTS, Family, Table, dump, read_elements
from tests.support.media_lab import lone_host
from tests.support.netns import inside, run
from tests.support.ng import Endpoint, packet

pytestmark = pytest.mark.root

OUTSIDE, CALLER = "203.0.113.1", "203.0.113.7"
INSIDE, ENGINE, BEHIND = "10.77.0.1", "10.77.0.5", "198.51.100.9"
CONFIG = RelayConfig("relay-1", ("127.0.0.1", 22222), Interface(OUTSIDE, OUTSIDE), Interface(INSIDE, INSIDE))
NAME = direct_table_name(CONFIG)
LOCAL, VIA = (OUTSIDE, 30_000), (INSIDE, 40_002)
MARK, MANY = 7, 1_200
FRAME_OCTETS, IP_OCTETS, HEADER_OCTETS = 14, 20, 28
SHORTEST_FRAME = 46
"""The least payload of an Ethernet frame, in octets."""
LONGEST_PAYLOAD = LONGEST_PACKET - HEADER_OCTETS
IPV4 = 0x0800
RECEIVE_SECONDS = 5
ENOUGH = 64 * 16
"""One packet in 64 is copied: it would take a miracle for none of this many to be copied."""
NO_CHECKSUM = 11
"""SO_NO_CHECK of Linux, for which Python has no name."""
BROADCAST, SOMEBODY_ELSE = b"\xff" * 6, b"\x02\0\0\0\0\x66"
EXPEDITED = 0xB8
PLAIN, LAST = packet(1), packet(2, b"\0" * 80)
FILTER = f"""table netdev others {{
 chain c {{ type filter hook ingress device "caller" priority filter; udp length {8 + len(PLAIN)} drop; }}
}}
"""


@dataclass(frozen=True)
class Hosts:
    """The names of the hosts at the two ends, and the relay's devices there."""

    caller: str
    engine: str
    outside: Device
    inside: Device


@contextmanager
def neighbour(role: str, near: str, far: str) -> Iterator[str]:
    """Create a host at the other end of a device of that name."""
    name = f"smdir{role}{os.getpid() % 100_000}"
    try:
        run(f"ip netns add {name}")
        run(f"ip link add {role} type veth peer name up0 netns {name}")
        run(f"ip address add {near}/24 dev {role}")
        run(f"ip -n {name} address add {far}/24 dev up0")
        run(f"ip -n {name} link set lo up")
        run(f"ip -n {name} link set up0 up")
        run(f"ip link set {role} up")
        run(f"ip -n {name} route add default via {near}")
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """Put this module's tests on the relay's host; the engine has an address for which nobody answers ARP at its device."""
    with lone_host(), neighbour("caller", OUTSIDE, CALLER) as caller, neighbour("engine", INSIDE, ENGINE) as engine:
        run(f"ip -n {engine} address add {BEHIND}/32 dev lo")
        run(f"ip netns exec {engine} sysctl -q -w net.ipv4.conf.all.arp_ignore=1")
        yield Hosts(caller, engine, device("caller"), device("engine"))


def device(name: str) -> Device:
    """Return a device as the kernel has it now."""
    with closing(NetlinkSocket(ROUTE)) as sock:
        found = map(read_device, sock.ask(ask_devices(sock.next_sequence())))
    return next(each for each in found if each is not None and each.name == name)


@pytest.fixture
def table(hosts: Hosts) -> Iterator[DirectTable]:
    attached = attach_script(CONFIG, hosts.outside, None) + attach_script(CONFIG, hosts.inside, None)
    assert run_nft(create_direct_script(CONFIG) + attached) == ""
    with closing(DirectTable(NAME)) as made:
        made.write_rules(direct_rules(CONFIG))
        yield made


@dataclass(frozen=True)
class Call:
    """A flow that the kernel has: its ends, the relay's own socket for it, and sockets that see the frames at both ends."""

    table: DirectTable
    flow: KernelFlow
    caller: Endpoint
    engine: Endpoint
    relay: Endpoint
    sent: socket.socket
    arrived: socket.socket
    mac: bytes

    def send_frame(self, ip: bytes, *, to: bytes = b"", tag: bytes = b"", kind: int = IPV4) -> None:
        """Send octets from the caller's device to the relay's, or to another address."""
        self.sent.send((to or self.mac) + b"\x02\0\0\0\0\7" + tag + pack("!H", kind) + ip)

    def heard(self) -> list[bytes]:
        """Return what the engine receives before a plain packet that is sent now and must arrive."""
        self.caller.snd(LOCAL, LAST)
        found: list[bytes] = []
        while LAST not in found:
            data, source = self.engine.rcv()
            assert source == VIA
            found.append(data)
        return found[:-1]

    def counted(self) -> Counts:
        """Return the kernel's counts of the flow so far."""
        self.table.read_counts()
        return self.table.counts(MARK)


@pytest.fixture
def call(hosts: Hosts, table: DirectTable) -> Iterator[Call]:
    with ExitStack() as ends:
        with inside(hosts.caller):
            caller = ends.enter_context(Endpoint(CALLER))
            sent = ends.enter_context(watch("up0"))
        with inside(hosts.engine):
            engine = ends.enter_context(Endpoint(ENGINE))
            arrived = ends.enter_context(watch("up0"))
        relay = ends.enter_context(Endpoint(*LOCAL))
        flow = KernelFlow(MARK, caller.address, LOCAL, VIA, engine.address)
        table.install([(flow, Hop(hosts.inside.index, ENGINE))])
        yield Call(table, flow, caller, engine, relay, sent, arrived, octets_of(hosts.outside))


def octets_of(device: Device) -> bytes:
    """Return a device's hardware address as it appears in frames."""
    return bytes.fromhex(device.address.replace(":", ""))


def watch(device: str) -> socket.socket:
    """Return a socket that sends and receives whole frames at a device."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(IPV4))
    sock.bind((device, IPV4))
    sock.settimeout(RECEIVE_SECONDS)
    return sock


def datagram(  # noqa: PLR0913  # the fields of a header, each by its name
    source: Address,
    target: Address,
    payload: bytes,
    *,
    service: int = 0,
    ttl: int = 64,
    fragment: int = 0,
    protocol: int = 17,
    options: bytes = b"",
) -> bytes:
    """Return an IPv4 UDP packet with both checksums, built independently of our code."""
    ends = inet_aton(source[0]) + inet_aton(target[0])
    length, words = 8 + len(payload), (IP_OCTETS + len(options)) // 4
    ports = pack("!HHH", source[1], target[1], length)
    check = checksum(ends + pack("!HH", 17, length) + ports + payload) or 0xFFFF
    head = pack("!BBHHHBB", 0x40 | words, service, 4 * words + length, 0x1234, fragment, ttl, protocol)
    return head + pack("!H", checksum(head + ends + options)) + ends + options + ports + pack("!H", check) + payload


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0")) for at in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def made(number: int, device: int, *, gateway: str = ENGINE) -> tuple[KernelFlow, Hop]:
    """Return a flow that shares nothing with those of other numbers."""
    source, target = (f"198.51.100.{number % 250}", 1024 + number), (f"10.0.0.{number % 250}", 2048 + number)
    return KernelFlow(number, source, (OUTSIDE, 30_000 + 2 * number), (INSIDE, 40_002 + 2 * number), target), Hop(device, gateway)


def many(device: int) -> list[tuple[KernelFlow, Hop]]:
    return [made(number, device) for number in range(MANY)]


def keys() -> set[bytes]:
    """Return the keys that the kernel has."""
    with closing(NetlinkSocket(NETFILTER)) as sock:
        return {element.key for element in read_elements(sock.ask(dump(Table(Family.NETDEV, NAME), MAP, sock.next_sequence())))}


def test_many_flows_come_and_go(hosts: Hosts, table: DirectTable) -> None:
    assert MANY > 2 * MAX_ELEMENTS
    flows = many(hosts.inside.index)
    table.install(flows)
    assert len(keys()) == MANY
    assert all(flow in table for flow, _ in flows)
    assert made(MANY, hosts.inside.index)[0] not in table
    half = [flow for flow, _ in flows[::2]]
    assert table.end(half) == {flow.mark: Counts(0, 0) for flow in half}
    assert len(keys()) == MANY - len(half)
    assert [flow in table for flow, _ in flows] == [False, True] * (MANY // 2)
    assert table.end(flow for flow, _ in flows) == {flow.mark: Counts(0, 0) for flow, _ in flows[1::2]}
    assert keys() == set()


def test_an_element_has_the_ends_that_a_packet_shows_and_those_that_it_gets(hosts: Hosts, table: DirectTable) -> None:
    table.install([(KernelFlow(1, ("192.0.2.1", 0x1111), ("192.0.2.2", 0x2222), VIA, (ENGINE, 0x3333)), Hop(hosts.inside.index, BEHIND))])
    with closing(NetlinkSocket(NETFILTER)) as sock:
        (element,) = read_elements(sock.ask(dump(Table(Family.NETDEV, NAME), MAP, sock.next_sequence())))
    assert element.key == bytes.fromhex("c0000201 c0000202 1111 2222")
    assert element.data == bytes.fromhex("0a4d0001 0a4d0005 9c42 3333 c6336409") + pack("=I", hosts.inside.index)


def test_ending_an_unknown_flow_returns_nothing(hosts: Hosts, table: DirectTable) -> None:
    (known, _), (unknown, _) = flows = made(1, hosts.inside.index), made(2, hosts.inside.index)
    assert table.end([unknown]) == {}
    table.install(flows[:1])
    assert table.end([unknown, known]) == {known.mark: Counts(0, 0)}
    assert table.end([known]) == {}


def test_a_source_with_another_hop_is_refused_with_its_whole_batch(hosts: Hosts, table: DirectTable) -> None:
    first, second = made(1, hosts.inside.index), made(2, hosts.inside.index)
    table.install([first])
    before = keys()
    with pytest.raises(KernelRefused) as refused:
        table.install([second, (first[0], Hop(hosts.outside.index, CALLER))])
    assert refused.value.number == errno.EEXIST
    assert (keys(), second[0] in table) == (before, False)


def test_only_existing_flows_with_the_same_hop_are_adopted(hosts: Hosts, table: DirectTable) -> None:
    flows = many(hosts.inside.index)
    table.install(flows)
    kept, moved, unlike, lost = flows[:3], flows[3][0], flows[4], made(MANY, hosts.inside.index)
    asked = [*kept, (moved, Hop(hosts.outside.index, CALLER)), (replace(unlike[0], target=(ENGINE, 9)), unlike[1]), lost]
    with closing(DirectTable(NAME)) as after:
        after.adopt(asked)
        assert [flow in after for flow, _ in asked] == [True, True, True, False, False, False]
        assert len(keys()) == 3
        assert after.end(flow for flow, _ in asked) == {flow.mark: Counts(0, 0) for flow, _ in kept}
        assert keys() == set()


def test_adopted_flows_keep_their_counts(call: Call, hosts: Hosts) -> None:
    assert call.heard() == []
    with closing(DirectTable(NAME)) as after:
        after.adopt([(replace(call.flow, mark=9), Hop(hosts.inside.index, ENGINE))])
        assert after.read_counts() == [9]
        assert after.end([call.flow]) == {9: Counts(1, len(LAST))}


def test_without_a_table_everything_is_refused(hosts: Hosts, table: DirectTable) -> None:
    flow = made(1, hosts.inside.index)
    table.install([flow])
    assert table.is_there()
    assert run_nft(delete_direct_script(CONFIG)) == ""
    assert not table.is_there()
    for ask in (
        lambda: table.install([flow]),
        lambda: table.end([flow[0]]),
        lambda: table.adopt([flow]),
        table.read_counts,
        lambda: table.write_rules(direct_rules(CONFIG)),
    ):
        with pytest.raises(KernelRefused, match="No such file or directory"):
            ask()


def test_each_packet_leaves_once_and_is_counted_once_copied_or_not(call: Call) -> None:
    with closing(NetlinkSocket(NETFILTER)) as samples:
        samples.ask(bind_group(CONFIG.log_group, SAMPLE_OCTETS, samples.next_sequence()))
        sizes = []
        for number in range(ENOUGH):
            data = packet(number, bytes(6 + number % 200))
            sizes.append(len(data))
            call.caller.snd(LOCAL, data)
            assert call.engine.rcv() == (data, VIA)
        assert select([samples], [], [], RECEIVE_SECONDS)[0]
        copy = read_copy(samples.read()[0])
    assert copy is not None
    # As it was when it came.
    assert copy.data[12:24] == datagram(call.caller.address, LOCAL, b"")[12:24]
    expected = Counts(len(sizes), sum(sizes))
    assert call.counted() == expected
    assert (call.engine.waiting(), call.relay.waiting()) == ([], [])
    assert call.table.end([call.flow]) == {MARK: expected}


def test_reading_counts_returns_only_the_flows_that_changed(call: Call, hosts: Hosts) -> None:
    call.table.install([made(1, hosts.inside.index)])
    assert (call.table.read_counts(), call.table.active) == ([], 0)
    call.heard()
    assert call.table.counts(MARK) == Counts(0, 0)
    assert (call.table.read_counts(), call.table.read_counts(), call.table.active) == ([MARK], [], 1)
    assert call.table.counts(MARK) == Counts(1, len(LAST))
    call.table.end([call.flow])
    assert (call.table.counts(MARK), call.table.active) == (Counts(0, 0), 0)


def test_packets_of_an_ended_flow_come_to_the_relay(call: Call) -> None:
    assert call.heard() == []
    call.table.end([call.flow])
    call.caller.snd(LOCAL, PLAIN)
    assert call.relay.rcv() == (PLAIN, call.caller.address)
    assert call.engine.waiting() == []


@pytest.mark.parametrize(("came", "left"), [(0, 0xB8), (0xFF, 0xBB), (0xB8, 0xB8), (0x22, 0xBA)])
def test_a_packet_gets_its_class_of_service_and_keeps_its_congestion_bits(call: Call, came: int, left: int) -> None:
    call.send_frame(datagram(call.flow.source, LOCAL, PLAIN, service=came))
    assert call.arrived.recv(2048)[FRAME_OCTETS:] == datagram(VIA, call.flow.target, PLAIN, ttl=63, service=left)
    assert call.engine.rcv() == (PLAIN, VIA)


@pytest.mark.parametrize("ttl", [2, 64, 255])
def test_a_packet_is_rewritten_to_the_octet(call: Call, ttl: int) -> None:
    call.send_frame(datagram(call.flow.source, LOCAL, PLAIN, ttl=ttl))
    assert call.arrived.recv(2048)[FRAME_OCTETS:] == datagram(VIA, call.flow.target, PLAIN, ttl=ttl - 1, service=EXPEDITED)
    assert call.engine.rcv() == (PLAIN, VIA)


def test_both_directions_go_at_once(call: Call, hosts: Hosts) -> None:
    back = KernelFlow(MARK + 1, call.engine.address, VIA, LOCAL, call.caller.address)
    call.table.install([(back, Hop(hosts.outside.index, CALLER))])
    call.engine.snd(VIA, PLAIN)
    assert call.caller.rcv() == (PLAIN, LOCAL)
    assert call.heard() == []
    assert sorted(call.table.read_counts()) == [MARK, MARK + 1]


def test_a_packet_goes_to_its_gateway(call: Call, hosts: Hosts) -> None:
    with inside(hosts.engine), Endpoint(BEHIND) as behind:
        call.table.end([call.flow])
        call.table.install([(replace(call.flow, target=behind.address), Hop(hosts.inside.index, ENGINE))])
        call.caller.snd(LOCAL, PLAIN)
        assert behind.rcv() == (PLAIN, VIA)


@pytest.mark.parametrize("size", [SHORTEST_FRAME - HEADER_OCTETS, LONGEST_PAYLOAD])
def test_the_shortest_unpadded_and_the_longest_packet_are_taken(call: Call, size: int) -> None:
    data = PLAIN.ljust(size, b"\0")[:size]
    call.caller.snd(LOCAL, data)
    assert call.heard() == [data]
    assert call.counted() == Counts(2, size + len(LAST))


@pytest.mark.parametrize("size", [4, 5, 6])
def test_the_padding_of_a_short_frame_is_not_counted(call: Call, size: int) -> None:
    # A telephone-event packet is shorter than that.
    short = datagram(call.flow.source, LOCAL, packet(1, bytes(size)))
    call.send_frame(short.ljust(SHORTEST_FRAME, b"\0"))
    heard = call.heard()
    assert call.counted() == Counts(len(heard) + 1, sum(map(len, heard)) + len(LAST))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x90" + PLAIN[1:], id="extension"),
        pytest.param(b"\xa0" + PLAIN[1:], id="padding"),
        pytest.param(b"\x81" + PLAIN[1:], id="contributing source"),
        pytest.param(b"\x80\xc8" + PLAIN[2:], id="RTCP"),
        pytest.param(b"\0\1" + PLAIN[2:], id="STUN"),
        pytest.param(PLAIN[:11], id="shorter than RTP"),
        pytest.param(PLAIN.ljust(LONGEST_PAYLOAD + 1, b"\0"), id="longer than any device passes"),
    ],
)
def test_anything_but_plain_rtp_comes_to_the_relay(call: Call, data: bytes) -> None:
    call.caller.snd(LOCAL, data)
    assert call.heard() == []
    assert call.relay.rcv() == (data, call.caller.address)
    assert call.counted() == Counts(1, len(LAST))


def test_packets_without_a_checksum_come_to_the_relay(call: Call, hosts: Hosts) -> None:
    with inside(hosts.caller), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as careless:
        careless.setsockopt(socket.SOL_SOCKET, NO_CHECKSUM, 1)
        careless.bind((CALLER, 0))
        flow = KernelFlow(MARK + 1, careless.getsockname(), LOCAL, VIA, call.engine.address)
        call.table.install([(flow, Hop(hosts.inside.index, ENGINE))])
        careless.sendto(PLAIN, LOCAL)
    assert call.heard() == []
    assert call.relay.rcv() == (PLAIN, flow.source)


def test_another_source_and_another_port_come_to_the_relay(call: Call, hosts: Hosts) -> None:
    with ExitStack() as ends:
        with inside(hosts.caller):
            other, low = (ends.enter_context(Endpoint(CALLER)) for _ in range(2))
        below = ends.enter_context(Endpoint(OUTSIDE, CONFIG.lowest_port - 2))
        call.table.install([(KernelFlow(MARK + 1, low.address, below.address, VIA, call.engine.address), Hop(hosts.inside.index, ENGINE))])
        other.snd(LOCAL, PLAIN)
        low.snd(below.address, PLAIN)
        assert call.heard() == []
        assert (call.relay.rcv(), below.rcv()) == ((PLAIN, other.address), (PLAIN, low.address))


@pytest.mark.parametrize(
    ("frame", "ip"),
    [
        pytest.param({"tag": pack("!HH", 0x8100, 7)}, {}, id="VLAN"),
        pytest.param({"tag": pack("!HH", 0x8100, 0)}, {}, id="VLAN of none, with a priority"),
        pytest.param({"tag": pack("!HH", 0x88A8, 7)}, {}, id="VLAN of a provider"),
        pytest.param({"to": BROADCAST}, {}, id="for everybody"),
        pytest.param({"to": SOMEBODY_ELSE}, {}, id="for somebody else"),
        pytest.param({"kind": 0x86DD}, {}, id="not as IPv4"),
        pytest.param({}, {"fragment": 0x2000}, id="first fragment"),
        pytest.param({}, {"fragment": 0x0001}, id="later fragment"),
        pytest.param({}, {"protocol": 136}, id="not UDP"),
    ],
)
def test_similar_packets_in_other_frames_or_protocols_are_left_alone(call: Call, frame: dict[str, Any], ip: dict[str, Any]) -> None:
    call.send_frame(datagram(call.flow.source, LOCAL, PLAIN, **ip), **frame)
    call.send_frame(datagram(call.flow.source, LOCAL, LAST))
    assert call.arrived.recv(2048)[FRAME_OCTETS:] == datagram(VIA, call.flow.target, LAST, ttl=63, service=EXPEDITED)
    assert call.counted() == Counts(1, len(LAST))


@pytest.mark.parametrize(("options", "behind"), [(b"\1" * 40, b""), (b"", b"x")], ids=["options", "something behind"])
def test_nothing_longer_than_any_device_passes_is_sent(call: Call, options: bytes, behind: bytes) -> None:
    # The longest datagram with the longest header, and a packet with padding behind it in its frame.
    data = PLAIN.ljust(LONGEST_PAYLOAD, b"\0") if options else PLAIN
    call.send_frame(datagram(call.flow.source, LOCAL, data, options=options) + behind * LONGEST_PACKET)
    call.send_frame(datagram(call.flow.source, LOCAL, LAST))
    assert len(call.arrived.recv(2048)) - FRAME_OCTETS <= LONGEST_PACKET


def test_a_bridge_port_takes_only_frames_for_the_bridge(call: Call, hosts: Hosts) -> None:
    run("ip link add br0 address 02:00:00:00:00:b0 type bridge")
    try:
        run("ip link set caller master br0")
        bridge = device("br0")
        assert run_nft(attach_script(CONFIG, device("caller"), bridge)) == ""
        frame = datagram(call.flow.source, LOCAL, PLAIN)
        for address in (octets_of(hosts.outside), BROADCAST, SOMEBODY_ELSE):
            call.send_frame(frame, to=address)
        call.send_frame(frame, to=octets_of(bridge), tag=pack("!HH", 0x8100, 7))
        call.send_frame(datagram(call.flow.source, LOCAL, LAST), to=octets_of(bridge))
        assert call.arrived.recv(2048)[FRAME_OCTETS:] == datagram(VIA, call.flow.target, LAST, ttl=63, service=EXPEDITED)
        assert call.counted() == Counts(1, len(LAST))
    finally:
        run("ip link delete br0")


def test_what_the_filters_of_others_drop_does_not_pass(call: Call) -> None:
    assert run_nft(FILTER) == ""
    try:
        call.caller.snd(LOCAL, PLAIN)
        assert call.heard() == []
    finally:
        assert run_nft("delete table netdev others") == ""
    call.caller.snd(LOCAL, PLAIN)
    assert call.heard() == [PLAIN]
