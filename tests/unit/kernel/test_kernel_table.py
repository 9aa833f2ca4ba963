"""The kernel itself, on a host of its own; needs root and nft."""

from __future__ import annotations

import errno
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from select import select
from socket import inet_aton
from struct import pack

import pytest

from daemonkit.address import Address
from daemonkit.nft import run_nft
from mediarelay.aio import kernel_table
from mediarelay.aio.kernel_table import HEADER_OCTETS, KernelTable
from mediarelay.aio.netlink import NETFILTER, KernelRefused, NetlinkSocket
from mediarelay.config import Interface, RelayConfig
from mediarelay.kernel.flow import Check, Counts, KernelFlow
from mediarelay.kernel.packet_log import bind_group, read_copy
from mediarelay.kernel.script import SAMPLE_OCTETS, create_script, delete_script, table_name
from mediarelay.kernel.set_elements import MAX_ELEMENTS
from tests.support.media_lab import lone_host
from tests.support.ng import Endpoint, packet

pytestmark = pytest.mark.root

HOME = "127.0.0.1"
CONFIG = RelayConfig("relay-1", (HOME, 22222), Interface(HOME, HOME), Interface(HOME, HOME))
FIRST_MARK = CONFIG.marks.start
MANY = 1_200


@pytest.fixture
def table() -> Iterator[KernelTable]:
    with lone_host():
        assert run_nft(create_script(CONFIG)) == ""
        with closing(KernelTable(table_name(CONFIG))) as made:
            yield made


def flow(number: int, *, mark: int | None = None) -> KernelFlow:
    return KernelFlow(
        mark=FIRST_MARK + number if mark is None else mark,
        source=(f"198.51.100.{number % 250}", 1024 + number),
        local=(HOME, 30_000 + 2 * number),
        via=(HOME, 40_002 + 2 * number),
        target=(f"10.0.0.{number % 250}", 2048 + number),
    )


def ends(source: Address, target: Address) -> bytes:
    """Return source and destination by a packet's headers, without any options between those of IP and UDP."""
    return inet_aton(source[0]) + inet_aton(target[0]) + pack("!HH", source[1], target[1])


def many() -> list[KernelFlow]:
    return [flow(number) for number in range(MANY)]


def test_many_flows_come_back_as_they_were_given(table: KernelTable) -> None:
    assert MANY > 2 * MAX_ELEMENTS
    flows = many()
    table.install(flows)
    marks = [each.mark for each in flows]
    assert table.flows() == dict(zip(marks, flows, strict=True))
    assert table.read_counts() == []
    assert table.check(flows) == dict.fromkeys(marks, Check(0, Counts(0, 0)))
    assert table.end(flows) == dict.fromkeys(marks, Counts(0, 0))
    assert (table.flows(), table.read_counts()) == ({}, [])
    assert "elements" not in subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def test_a_source_with_another_mark_is_refused_with_its_whole_batch(table: KernelTable) -> None:
    table.install([flow(1)])
    taken = KernelFlow(FIRST_MARK + 9, flow(1).source, flow(1).local, flow(1).via, flow(1).target)
    with pytest.raises(KernelRefused) as refused:
        table.install([flow(2), taken, flow(3)])
    assert refused.value.number == errno.EEXIST
    assert list(table.flows()) == [flow(1).mark]


def test_a_mark_that_has_another_far_end_is_refused(table: KernelTable) -> None:
    table.install([flow(1)])
    with pytest.raises(KernelRefused) as refused:
        table.install([flow(2, mark=flow(1).mark)])
    assert refused.value.number == errno.EEXIST
    assert table.flows() == {flow(1).mark: flow(1)}


def test_ending_an_unknown_flow_is_refused_with_its_whole_batch(table: KernelTable) -> None:
    table.install([flow(1)])
    with pytest.raises(KernelRefused) as refused:
        table.end([flow(1), flow(2)])
    assert refused.value.number == errno.ENOENT
    assert table.flows() == {flow(1).mark: flow(1)}
    assert list(table.end([flow(1)])) == [flow(1).mark]


def test_without_a_table_everything_is_refused(table: KernelTable) -> None:
    assert run_nft(delete_script(CONFIG)) == ""
    for ask in (
        lambda: table.install([flow(1)]),
        lambda: table.end([flow(1)]),
        table.read_counts,
        table.flows,
        lambda: table.check([flow(1)]),
    ):
        with pytest.raises(KernelRefused, match="No such file or directory"):
            ask()


def test_lost_answers_raise_kernel_refused(table: KernelTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.install(many())
    monkeypatch.setattr(kernel_table, "MAX_ASKED", MANY)
    monkeypatch.setattr("mediarelay.kernel.set_elements.MAX_ASKED", MANY)
    with pytest.raises(KernelRefused) as refused:
        table.check(many())
    assert refused.value.number == errno.ENOBUFS


def test_each_packet_is_counted_once_where_both_ends_are_on_this_machine(table: KernelTable) -> None:
    with Endpoint() as caller, Endpoint() as node:
        outside, inside = (HOME, 30_000), (HOME, 40_002)
        flows = [
            KernelFlow(FIRST_MARK, caller.address, outside, inside, node.address),
            KernelFlow(FIRST_MARK + 1, node.address, inside, outside, caller.address),
        ]
        table.install(flows)
        for number in range(10):
            caller.snd(outside, packet(number))
            assert node.rcv() == (packet(number), inside)
        node.snd(inside, packet(1))
        assert caller.rcv() == (packet(1), outside)
        there, back = Check(10, Counts(10, 10 * 172)), Check(1, Counts(1, 172))
        assert table.check(flows) == {FIRST_MARK: there, FIRST_MARK + 1: back}
        assert (sorted(table.read_counts()), table.read_counts()) == ([FIRST_MARK, FIRST_MARK + 1], [])
        assert (table.counts(FIRST_MARK), table.counts(FIRST_MARK + 1)) == (there.left, back.left)
        assert table.end(flows) == {FIRST_MARK: there.left, FIRST_MARK + 1: back.left}
        caller.snd(outside, packet(11))
        node.snd(inside, packet(2))
        assert (caller.waiting(), node.waiting()) == ([], [])


def test_a_packet_sent_before_its_flow_was_installed_is_left_to_the_socket(table: KernelTable) -> None:
    outside = (HOME, 30_000)
    with Endpoint() as caller, Endpoint() as node, Endpoint(HOME, 30_000) as relay:
        table.install([KernelFlow(FIRST_MARK, caller.address, outside, (HOME, 40_002), node.address)])
        # So the packet skips the hook for local output and comes to the one for input.
        assert run_nft(f"flush chain ip {table_name(CONFIG)} output") == ""
        caller.snd(outside, packet(1))
        assert relay.rcv() == (packet(1), caller.address)
        assert node.waiting() == []


def test_a_packet_on_its_way_to_an_ended_flow_reveals_no_address(table: KernelTable) -> None:
    with Endpoint() as node, closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, FIRST_MARK + 1)
        with pytest.raises(PermissionError):
            caller.sendto(packet(1), node.address)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)
        caller.sendto(packet(2), node.address)
        assert node.rcv() == (packet(2), (HOME, caller.getsockname()[1])), "what has no mark of ours is none of our business"
        assert node.waiting() == []


@pytest.mark.parametrize("name", ["m_daddr", "m_dport", "m_saddr", "m_sport"])
def test_a_packet_that_cannot_be_rewritten_whole_goes_nowhere(table: KernelTable, name: str) -> None:
    outside, inside = (HOME, 30_000), (HOME, 40_002)
    with Endpoint() as caller, Endpoint() as node, Endpoint(HOME, 30_000) as relay:
        table.install([KernelFlow(FIRST_MARK, caller.address, outside, inside, node.address)])
        assert run_nft(f"delete element ip {table_name(CONFIG)} {name} {{ {FIRST_MARK} }}") == ""
        # The system reports the drop to a sender on the same machine.
        with pytest.raises(PermissionError):
            caller.snd(outside, packet(1))
        assert (node.waiting(), relay.waiting()) == ([], [])


def test_samples_show_packets_as_they_arrived(table: KernelTable) -> None:
    samples = NetlinkSocket(NETFILTER)
    samples.ask(bind_group(CONFIG.log_group, SAMPLE_OCTETS, samples.next_sequence()))
    with closing(samples), Endpoint() as caller, Endpoint() as node:
        table.install([KernelFlow(FIRST_MARK, caller.address, (HOME, 30_000), (HOME, 40_002), node.address)])
        # One in 64 on average; it would take a miracle for none of 64 times 16 to be copied.
        for number in range(64 * 16):
            caller.snd((HOME, 30_000), packet(number))
            node.rcv()
        assert select([samples], [], [], 5)[0]
        copy = read_copy(samples.read()[0])
        assert copy is not None
        assert len(copy.data) == SAMPLE_OCTETS
        assert copy.data[12 : HEADER_OCTETS - 4] == ends(caller.address, (HOME, 30_000))
        rtp = copy.data[HEADER_OCTETS:]
        assert packet(int.from_bytes(rtp[2:4])).startswith(rtp)


def test_a_group_has_one_reader(table: KernelTable) -> None:
    with closing(NetlinkSocket(NETFILTER)) as first, closing(NetlinkSocket(NETFILTER)) as second:
        first.ask(bind_group(CONFIG.log_group, SAMPLE_OCTETS, first.next_sequence()))
        with pytest.raises(KernelRefused) as refused:
            second.ask(bind_group(CONFIG.log_group, SAMPLE_OCTETS, second.next_sequence()))
        assert refused.value.number == errno.EPERM


def test_a_question_that_cannot_be_sent_is_refused(table: KernelTable) -> None:
    sock = NetlinkSocket(NETFILTER)
    sock.close()
    with pytest.raises(KernelRefused) as refused:
        sock.ask(b"")
    assert refused.value.number == errno.EBADF
