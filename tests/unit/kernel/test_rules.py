"""Expressions octet by octet, and how a real kernel reads them; the latter needs root and nft.

The octets are put together by hand from linux/netfilter/nf_tables.h. Each expression is NFTA_LIST_ELEM (1, nested: 8001)
with NFTA_EXPR_NAME (1) and NFTA_EXPR_DATA (2, nested: 8002). Lengths and kinds are in the machine's byte order, that of x86;
numbers are big-endian. Registers are the one-word ones, from NFT_REG32_00 (8) on.
"""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest

from daemonkit.nft import run_nft
from mediarelay.aio.netlink import NETFILTER, KernelRefused, NetlinkSocket
from mediarelay.kernel.rules import Expressions, Header, all_but_one_in, combine, forward, load, log, look_up, new_rule, store
from mediarelay.kernel.set_elements import Family, Table, batch
from tests.support.media_lab import lone_host

RELAY = Table(Family.NETDEV, "relay")
MAP_TYPE = "ipv4_addr . ipv4_addr . mark : ipv4_addr . ipv4_addr . mark . ipv4_addr . iface_index"
SEARCH = (load(0, Header.NETWORK, 12, 4), load(1, Header.NETWORK, 16, 4), load(2, Header.TRANSPORT, 0, 4), look_up("m", 0, 4))
SERVE = (load(13, Header.NETWORK, 0, 2), combine(13, b"\xff\3", b"\0\xb8"), store(13, Header.NETWORK, 0, 2))
SEND = (*SERVE, store(4, Header.NETWORK, 12, 8), store(6, Header.TRANSPORT, 0, 4), forward(8, 7))
WHOLE: Expressions = (*all_but_one_in(64, 12), *SEARCH, log(62, 60), *SEND)


@pytest.fixture
def sock() -> Iterator[NetlinkSocket]:
    """Provide a socket on a host that has a table with a map and an empty chain."""
    with lone_host():
        assert run_nft(f"table netdev relay {{ map m {{ type {MAP_TYPE}; size 10; counter; }}; chain c {{ }}; }}") == ""
        with closing(NetlinkSocket(NETFILTER)) as made:
            yield made


def write(sock: NetlinkSocket, *rules: Expressions, chain: str = "c") -> None:
    sequence = sock.next_sequence()
    sock.ask(batch([new_rule(RELAY, chain, rule, sequence) for rule in rules], sequence))


def expressions() -> list[str]:
    """Return the rules in the chain, one expression per line, as libnftnl reads them."""
    words = ["nft", "--debug=netlink", "list", "chain", "netdev", "relay", "c"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [line.strip(" []") for line in shown.splitlines() if line.startswith("  [")]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            load(2, Header.TRANSPORT, 0, 4),
            # NFTA_PAYLOAD_DREG, _BASE (NFT_PAYLOAD_TRANSPORT_HEADER is 2), _OFFSET, _LEN.
            "34000180  0c000100 7061796c6f616400  24000280"
            " 08000100 0000000a  08000200 00000002  08000300 00000000  08000400 00000004",
            id="load",
        ),
        pytest.param(
            store(4, Header.NETWORK, 12, 8),
            # _BASE (NFT_PAYLOAD_NETWORK_HEADER is 1), _OFFSET, _LEN, _SREG, _CSUM_TYPE (NFT_PAYLOAD_CSUM_INET is 1),
            # _CSUM_OFFSET (10 in IPv4), _CSUM_FLAGS (NFT_PAYLOAD_L4CSUM_PSEUDOHDR is 1: UDP's checksum covers the addresses, too).
            "4c000180  0c000100 7061796c6f616400  3c000280"
            " 08000200 00000001  08000300 0000000c  08000400 00000008  08000500 0000000c"
            " 08000600 00000001  08000700 0000000a  08000800 00000001",
            id="store addresses",
        ),
        pytest.param(
            store(6, Header.TRANSPORT, 0, 4),
            # The same at UDP's ports; its checksum is at 6, and no other checksum covers the ports.
            "4c000180  0c000100 7061796c6f616400  3c000280"
            " 08000200 00000002  08000300 00000000  08000400 00000004  08000500 0000000e"
            " 08000600 00000001  08000700 00000006  08000800 00000000",
            id="store ports",
        ),
        pytest.param(
            store(13, Header.NETWORK, 0, 2),
            # The same at the start of the IPv4 header, which UDP's checksum does not cover.
            "4c000180  0c000100 7061796c6f616400  3c000280"
            " 08000200 00000001  08000300 00000000  08000400 00000002  08000500 00000015"
            " 08000600 00000001  08000700 0000000a  08000800 00000000",
            id="store the class of service",
        ),
        pytest.param(
            combine(13, b"\xff\3", b"\0\xb8"),
            # NFTA_BITWISE_SREG, _DREG, _LEN, _MASK and _XOR: NFTA_DATA_VALUE, two octets padded to four.
            "44000180  0c000100 6269747769736500  34000280"
            " 08000100 00000015  08000200 00000015  08000300 00000002"
            " 0c000480 06000100 ff030000  0c000580 06000100 00b80000",
            id="combine",
        ),
        pytest.param(
            look_up("m_direct", 0, 4),
            # NFTA_LOOKUP_SET (null-terminated and padded), _SREG, _DREG.
            "34000180  0b000100 6c6f6f6b75700000  24000280  0d000100 6d5f64697265637400 000000  08000200 00000008  08000300 0000000c",
            id="look up",
        ),
        pytest.param(
            b"".join(all_but_one_in(64, 12)),
            # NFTA_NG_DREG, _MODULUS, _TYPE (NFT_NG_RANDOM is 1), _OFFSET.
            "34000180  0b000100 6e756d67656e0000  24000280"
            " 08000100 00000014  08000200 00000040  08000300 00000001  08000400 00000000"
            # NFTA_CMP_SREG, _OP (NFT_CMP_NEQ is 1), _DATA: NFTA_DATA_VALUE, a zero word.
            " 2c000180  08000100 636d7000  20000280"
            " 08000100 00000014  08000200 00000001  0c000380 08000100 00000000",
            id="all but one in",
        ),
        # NFTA_LOG_GROUP, of two octets, and _SNAPLEN, of four.
        pytest.param(log(62, 60), "20000180  08000100 6c6f6700  14000280  06000100 003e 0000  08000300 0000003c", id="log"),
        # NFTA_FWD_SREG_DEV, _SREG_ADDR, _NFPROTO (NFPROTO_IPV4 is 2).
        pytest.param(
            forward(8, 7),
            "28000180  08000100 66776400  1c000280  08000100 00000010  08000200 0000000f  08000300 00000002",
            id="forward",
        ),
    ],
)  # fmt: skip
def test_each_expression_octet_by_octet(made: bytes, expected: str) -> None:
    assert made == bytes.fromhex(expected)


def test_a_rule_is_appended_to_a_chain_and_wants_an_answer() -> None:
    # NFT_MSG_NEWRULE; REQUEST | ACK | CREATE | APPEND; NFPROTO_NETDEV; NFTA_RULE_TABLE, _CHAIN, _EXPRESSIONS.
    expected = (
        "4c000000 060a 050c 09000000 00000000  05 00 0000  0a000100 72656c617900 0000  06000200 6300 0000"
        "  24000480  20000180  08000100 6c6f6700  14000280  06000100 0005 0000  08000300 00000001"
    )
    assert bytes(new_rule(RELAY, "c", (log(5, 1),), 9)) == bytes.fromhex(expected)


@pytest.mark.root
def test_a_kernel_reads_each_expression_as_intended(sock: NetlinkSocket) -> None:
    write(sock, WHOLE)
    # libnftnl names the first word of each row of four after the row: 9 is the second word, "reg 2" the fifth.
    assert expressions() == [
        "numgen reg 4 = random mod 64",
        "cmp neq reg 4 0x00000000",
        "payload load 4b @ network header + 12 => reg 1",
        "payload load 4b @ network header + 16 => reg 9",
        "payload load 4b @ transport header + 0 => reg 10",
        "lookup reg 1 set m dreg 2 0x0",
        "log group 62 snaplen 60 qthreshold 0",
        "payload load 2b @ network header + 0 => reg 21",
        "bitwise reg 21 = ( reg 21 & 0x000003ff ) ^ 0x0000b800",
        "payload write reg 21 => 2b @ network header + 0 csum_type 1 csum_off 10 csum_flags 0x0",
        "payload write reg 2 => 8b @ network header + 12 csum_type 1 csum_off 10 csum_flags 0x1",
        "payload write reg 14 => 4b @ transport header + 0 csum_type 1 csum_off 6 csum_flags 0x0",
        "fwd sreg_dev 3 sreg_addr 15 nfproto 2",
    ]


@pytest.mark.root
def test_nft_shows_what_its_language_can_express(sock: NetlinkSocket) -> None:
    write(sock, (*all_but_one_in(64, 12), log(62, 60)))
    shown = subprocess.run(["nft", "list", "chain", "netdev", "relay", "c"], capture_output=True, text=True, check=True).stdout
    assert "numgen random mod 64 != 0 log group 62 snaplen 60\n" in shown


@pytest.mark.root
def test_rules_stand_in_the_order_in_which_they_came(sock: NetlinkSocket) -> None:
    write(sock, (log(1, 10),), (log(2, 20),))
    write(sock, (log(3, 30),))
    assert expressions() == [f"log group {number} snaplen {number}0 qthreshold 0" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("rule", "chain"),
    [
        pytest.param(WHOLE, "another", id="no such chain"),
        pytest.param((*SEARCH[:3], look_up("another", 0, 4)), "c", id="no such map"),
    ],
)
@pytest.mark.root
def test_a_rule_with_an_unknown_name_is_refused_with_its_whole_batch(sock: NetlinkSocket, rule: Expressions, chain: str) -> None:
    sequence = sock.next_sequence()
    with pytest.raises(KernelRefused) as refused:
        sock.ask(batch([new_rule(RELAY, "c", WHOLE, sequence), new_rule(RELAY, chain, rule, sequence)], sequence))
    assert refused.value.number == errno.ENOENT
    assert expressions() == []


@pytest.mark.root
def test_a_register_that_nothing_was_loaded_into_is_refused(sock: NetlinkSocket) -> None:
    with pytest.raises(KernelRefused):
        write(sock, SEND)
    assert expressions() == []
