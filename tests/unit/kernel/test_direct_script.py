from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from daemonkit.nft import run_nft
from mediarelay.aio.direct_table import DirectTable
from mediarelay.config import Interface, RelayConfig
from mediarelay.kernel.direct_script import (
    CHAIN,
    MAP,
    attach_script,
    create_direct_script,
    delete_direct_script,
    detach_script,
    direct_rules,
    direct_table_name,
)
from mediarelay.kernel.routes import Device
from mediarelay.kernel.script import PLAIN_RTP, create_script, table_name
from tests.support.media_lab import lone_host
from tests.support.netns import run

OUTSIDE, INSIDE = Interface("10.0.0.1", "203.0.113.1"), Interface("10.77.0.1", "10.77.0.1")
NAME = "sipuri_media_127_0_0_1_22222_3_direct"


def config(**changes: object) -> RelayConfig:
    fields: dict[str, object] = {"worker": 3, **changes}
    return RelayConfig("relay-1", ("127.0.0.1", 22222), OUTSIDE, INSIDE, **fields)  # type: ignore[arg-type]  # the test names the fields


def device(index: int, name: str, master: int = 0) -> Device:
    return Device(index, name, is_up=True, is_ethernet=True, mtu=1500, address=f"02:00:00:00:00:{index:02x}", master=master)


@pytest.fixture
def host() -> Iterator[None]:
    """Provide a host with the two devices D0 and D1."""
    with lone_host():
        # Few kernels lack veth; some lack dummy.
        run("ip link add d0 type veth peer name d1")
        yield


D0, D1, BRIDGE = device(2, "d0"), device(3, "d1"), device(0xAB, "br0")


def nft(*words: str) -> str:
    return subprocess.run(["nft", *words], capture_output=True, text=True, check=True).stdout


def chains() -> dict[str, str]:
    """Return where nft says that each chain of the relay's table is hooked; root only."""
    found = re.findall(r"^\tchain (\S+) {\n(?:\t\ttype (.*); policy accept;\n)?", nft("list", "table", "netdev", NAME), re.MULTILINE)
    return dict(found)


def at(device: str) -> str:
    return f'filter hook ingress device "{device}" priority 100'


def rules(chain: str) -> int:
    return sum("rule" in item for item in json.loads(nft("-j", "list", "chain", "netdev", NAME, chain))["nftables"])


def expressions(chain: str) -> list[str]:
    """Return the expressions of all rules in a chain as libnftnl reads them."""
    shown = nft("--debug=netlink", "list", "chain", "netdev", NAME, chain)
    return [line.strip(" []") for line in shown.splitlines() if line.startswith("  [")]


def test_each_worker_of_each_address_has_a_table_of_its_own() -> None:
    assert direct_table_name(config()) == NAME
    names = {name(config(worker=worker)) for worker in range(3) for name in (direct_table_name, table_name)}
    assert len(names) == 6


def test_the_text_names_size_port_length_and_priority() -> None:
    made = config(external_ports=(45000, 45999), internal_ports=(31000, 31999))
    text = create_direct_script(made)
    assert text.startswith(delete_direct_script(made))
    assert f"size {made.max_kernel_flows}; counter; " in text
    attach = attach_script(made, device(7, "eth0"), None)
    # With an IPv4 header of 20 octets these are packets of 46, which no Ethernet frame pads, to 1280.
    assert f" meta length <= 1280 @nh,0,8 0x45 udp dport >= 31000 udp length >= 26 {PLAIN_RTP} jump {CHAIN}\n" in attach
    assert 'from_7 { type filter hook ingress device "eth0" priority 100; }' in attach
    assert "from_7" in detach_script(made, 7)


def test_the_rules_copy_to_the_group_of_the_relay() -> None:
    first, second = direct_rules(config(log_group=65))
    group = b"\x06\0\1\0\0\x41"
    assert (group in b"".join(first), group in b"".join(second)) == (False, True)


def test_the_rules_give_the_class_of_service() -> None:
    assert all(b"\xff\3\0\0\x0c\0\5\x80\6\0\1\0\0\x28\0\0" in b"".join(rule) for rule in direct_rules(config(dscp=10)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"external_ports": (30000, 40000), "internal_ports": (30000, 40000)},
        {"external_ports": (1024, 65535), "internal_ports": (1024, 65535)},
        {"log_group": 65535},
    ],
)
@pytest.mark.root
def test_the_kernel_accepts_the_script_repeatedly(host: None, changes: dict[str, object]) -> None:
    made = config(**changes)
    for _ in range(2):
        assert run_nft(create_direct_script(made)) == ""
        assert chains() == {CHAIN: ""}
    for _ in range(2):
        assert run_nft(attach_script(made, D0, None)) == ""
        assert run_nft(attach_script(made, D1, None)) == ""
    assert chains() == {CHAIN: "", "from_2": at("d0"), "from_3": at("d1")}
    assert (rules("from_2"), rules("from_3")) == (1, 1)
    assert run_nft(detach_script(made, 2)) == ""
    assert chains().keys() == {CHAIN, "from_3"}
    for _ in range(2):
        assert run_nft(delete_direct_script(made)) == ""
    assert nft("list", "tables") == ""


@pytest.mark.root
def test_a_device_that_is_gone_leaves_no_chain(host: None) -> None:
    assert run_nft(create_direct_script(config())) == ""
    assert run_nft(attach_script(config(), D0, None)) == ""
    run("ip link delete d0")
    # Some kernels remove the chain themselves and refuse; others keep a chain without a device.
    run_nft(detach_script(config(), 2))
    assert chains().keys() == {CHAIN}


@pytest.mark.root
@pytest.mark.parametrize("name", ["eth0.100", "br-lan@x", "d-0_1+2", "ü", "123", "type", "a;b", "a{b}"])
def test_a_device_may_have_any_name_without_a_quote(host: None, name: str) -> None:
    subprocess.run(["ip", "link", "set", "d0", "name", name], check=True, capture_output=True)
    assert run_nft(create_direct_script(config())) == ""
    assert run_nft(attach_script(config(), device(2, name), None)) == ""
    assert chains()["from_2"] == at(name)


@pytest.mark.root
def test_the_rule_at_a_device_checks_all_of_this(host: None) -> None:
    assert run_nft(create_direct_script(config())) == ""
    assert run_nft(attach_script(config(), D0, None)) == ""
    found = expressions("from_2")
    # In the machine's byte order: for this host, IPv4 by its type on the wire (where a VLAN tag would be), UDP.
    for pair in (
        ("meta load pkttype => reg 1", "cmp eq reg 1 0x00000000"),
        ("payload load 2b @ link header + 12 => reg 1", "cmp eq reg 1 0x00000008"),
        ("meta load l4proto => reg 1", "cmp eq reg 1 0x00000011"),
        ("payload load 2b @ transport header + 2 => reg 1", "cmp gte reg 1 0x00003075"),
        ("payload load 2b @ transport header + 4 => reg 1", "cmp gte reg 1 0x00001a00"),
        ("meta load len => reg 1", "byteorder reg 1 = hton(reg 1, 4, 4)"),
        ("byteorder reg 1 = hton(reg 1, 4, 4)", "cmp lte reg 1 0x00050000"),
        ("payload load 1b @ network header + 0 => reg 1", "cmp eq reg 1 0x00000045"),
    ):
        assert pair in pairwise(found)
    assert found[-1] == f"immediate reg 0 jump -> {CHAIN}"


@pytest.mark.root
def test_the_rule_at_a_bridge_port_checks_for_the_bridges_address(host: None) -> None:
    assert run_nft(create_direct_script(config())) == ""
    assert run_nft(attach_script(config(), D0, None)) == ""
    # The device has become a bridge port since: the rule is replaced, not added to.
    assert run_nft(attach_script(config(), D0, BRIDGE)) == ""
    assert rules("from_2") == 1
    found = expressions("from_2")
    assert found[found.index("payload load 6b @ link header + 0 => reg 1") + 1] == "cmp eq reg 1 0x00000002 0x0000ab00"
    assert "meta load pkttype => reg 1" not in found


@pytest.mark.root
def test_each_packet_is_searched_for_once_and_sent_by_one_of_two_rules(host: None) -> None:
    assert run_nft(create_direct_script(config())) == ""
    with closing(DirectTable(NAME)) as table:
        table.write_rules(direct_rules(config()))
    search = [
        "payload load 4b @ network header + 12 => reg 1",
        "payload load 4b @ network header + 16 => reg 9",
        "payload load 4b @ transport header + 0 => reg 10",
        f"lookup reg 1 set {MAP} dreg 2 0x0",
    ]
    send = [
        "payload load 2b @ network header + 0 => reg 21",
        "bitwise reg 21 = ( reg 21 & 0x000003ff ) ^ 0x0000b800",
        "payload write reg 21 => 2b @ network header + 0 csum_type 1 csum_off 10 csum_flags 0x0",
        "payload write reg 2 => 8b @ network header + 12 csum_type 1 csum_off 10 csum_flags 0x1",
        "payload write reg 14 => 4b @ transport header + 0 csum_type 1 csum_off 6 csum_flags 0x0",
        "fwd sreg_dev 3 sreg_addr 15 nfproto 2",
    ]
    most = ["numgen reg 4 = random mod 64", "cmp neq reg 4 0x00000000", *search, *send]
    assert expressions(CHAIN) == [*most, *search, "log group 62 snaplen 60 qthreshold 0", *send]


@pytest.mark.root
def test_the_tables_of_others_stay(host: None) -> None:
    for made in (create_direct_script(config()), create_direct_script(config(worker=1)), create_script(config())):
        assert run_nft(made) == ""
    assert run_nft(delete_direct_script(config(worker=1))) == ""
    assert set(nft("list", "tables").splitlines()) == {f"table netdev {NAME}", f"table ip {table_name(config())}"}
