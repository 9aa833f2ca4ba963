from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from daemonkit.nft import run_nft
from mediarelay.config import Interface, RelayConfig
from mediarelay.kernel.script import create_script, delete_script, table_name
from tests.support.media_lab import lone_host

OUTSIDE, INSIDE = Interface("10.0.0.1", "203.0.113.1"), Interface("10.77.0.1", "10.77.0.1")
NAME = "sipuri_media_127_0_0_1_22222_3"


def config(**changes: object) -> RelayConfig:
    fields: dict[str, object] = {"worker": 3, **changes}
    return RelayConfig("relay-1", ("127.0.0.1", 22222), OUTSIDE, INSIDE, **fields)  # type: ignore[arg-type]  # the test names the fields


@pytest.fixture
def host() -> Iterator[None]:
    with lone_host():
        yield


def table() -> list[dict[str, dict[str, object]]]:
    """Return what the kernel has of the relay's table; root only."""
    shown = subprocess.run(["nft", "-j", "list", "table", "ip", NAME], capture_output=True, text=True, check=True).stdout
    objects: list[dict[str, dict[str, object]]] = json.loads(shown)["nftables"]
    return objects


def tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def test_each_worker_of_each_address_has_a_table_of_its_own() -> None:
    assert table_name(config()) == NAME
    names = {table_name(config(worker=worker)) for worker in range(3)}
    assert len(names) == 3


def test_the_text_names_ports_marks_and_group() -> None:
    text = create_script(config(external_ports=(31000, 31999), internal_ports=(45000, 45999), marks=range(0x6000, 0x7000), log_group=65))
    assert text.startswith(delete_script(config()))
    assert text.count("udp dport >= 31000 ") == 2
    assert text.count("meta mark & 0xfffff000 == 0x00006000 jump from_relay") == 2
    assert text.count("log group 65 snaplen 60") == 1
    assert "ip dscp set 46\n" in text
    assert "ip dscp set 0\n" in create_script(config(dscp=0))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"external_ports": (30000, 40000), "internal_ports": (30000, 40000)},
        {"external_ports": (30000, 40000), "internal_ports": (35000, 45000)},
        {"external_ports": (1024, 65535), "internal_ports": (1024, 65535)},
        {"marks": range(1, 2)},
        {"marks": range(0xFFF00000, 0x100000000), "log_group": 65535},
    ],
)
@pytest.mark.root
def test_the_kernel_accepts_the_script_repeatedly(host: None, changes: dict[str, object]) -> None:
    made = config(**changes)
    for _ in range(2):
        assert run_nft(create_script(made)) == ""
    found = table()
    assert sorted(str(item["map"]["name"]) for item in found if "map" in item) == ["m_daddr", "m_dport", "m_flow", "m_saddr", "m_sport"]
    chains = {str(item["chain"]["name"]): item["chain"] for item in found if "chain" in item}
    assert chains.keys() == {"from_relay", "input", "output", "postrouting", "prerouting", "to_far"}
    # Marked packets are rewritten before connections are tracked, and after everybody else has looked.
    assert {name: chain["prio"] for name, chain in chains.items() if "prio" in chain} == {
        "prerouting": -310,
        "output": -310,
        "input": 300,
        "postrouting": 300,
    }
    for _ in range(2):
        assert run_nft(delete_script(made)) == ""
    assert tables() == ""


@pytest.mark.root
def test_the_table_of_another_worker_stays(host: None) -> None:
    assert run_nft(create_script(config())) == ""
    assert run_nft(create_script(config(worker=1))) == ""
    assert run_nft(delete_script(config(worker=1))) == ""
    assert tables() == f"table ip {NAME}\n"
