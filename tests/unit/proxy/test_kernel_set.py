"""The scripts that nft gets; test_kernel_bans.py proves that the kernel then drops."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry

from sipproxy.admission.bans import Ban, BanChange
from sipproxy.aio import kernel_set
from sipproxy.aio.kernel_set import KernelSet
from tests.unit.proxy.harness import TCP, UDP
from voiceapps.rules.bans import BanReason

SECONDS = 5.0
TABLE = "inet sipuri_guard_203_0_113_5_6160"
SOURCE, OTHER = "198.51.100.7", "198.51.100.8"


class Nft:
    """Keeps the scripts, and fails as often as it is told."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.complaints: list[str] = []
        self.faults: list[Exception] = []

    def __call__(self, script: str) -> str:
        self.scripts.append(script)
        if self.faults:
            raise self.faults.pop()
        return self.complaints.pop(0) if self.complaints else ""

    async def until(self, count: int) -> str:
        async with asyncio.timeout(SECONDS):
            while len(self.scripts) < count:
                await asyncio.sleep(0)
        return self.scripts[count - 1]


@pytest.fixture
def nft(monkeypatch: pytest.MonkeyPatch) -> Nft:
    monkeypatch.setattr(kernel_set, "missing", lambda: "")
    monkeypatch.setattr(kernel_set, "BATCH_SECONDS", 0)
    monkeypatch.setattr(kernel_set, "RETRY_SECONDS", 0)
    return Nft()


def banned(source_ip: str = SOURCE, seconds: float = 60.0) -> Ban:
    now = time.monotonic()
    return Ban(source_ip, BanReason.FLOOD, now, now + seconds)


def kernel(nft: Nft, registry: CollectorRegistry | None = None) -> KernelSet:
    return KernelSet((UDP, TCP), registry=registry or CollectorRegistry(), run=nft)


async def test_the_table_replaces_a_stale_one_and_goes_at_the_end(nft: Nft) -> None:
    registry = CollectorRegistry()
    made = kernel(nft, registry)
    made.apply(BanChange(banned=(banned(),)))
    await made.start()
    assert registry.get_sample_value("sipuri_sip_kernel_bans") == 1.0
    await made.stop()
    whole, end = nft.scripts
    assert whole.startswith(f"table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{")
    assert "ip daddr . th dport { 203.0.113.5 . 6160, 203.0.113.5 . 6163 } counter drop" in whole
    assert whole.endswith(f"add element {TABLE} banned {{ {SOURCE} timeout 60s }}\n")
    assert end == f"delete table {TABLE}\n"
    assert registry.get_sample_value("sipuri_sip_kernel_bans") == 0.0


async def test_changes_that_come_together_are_one_script(nft: Nft) -> None:
    made = kernel(nft)
    await made.start()
    made.apply(BanChange(banned=(banned(), banned(OTHER, 30.0))))
    made.apply(BanChange(lifted=(OTHER,)))
    add, delete, anew = (await nft.until(2)).splitlines()
    assert add == f"add element {TABLE} banned {{ {SOURCE}, {OTHER} }}"
    assert delete == f"delete element {TABLE} banned {{ {SOURCE}, {OTHER} }}"
    assert anew == f"add element {TABLE} banned {{ {SOURCE} timeout 60s }}"
    await made.stop()


async def test_after_a_failure_everything_is_written_anew(nft: Nft) -> None:
    made = kernel(nft)
    await made.start()
    nft.complaints = ["Error: no such table"] * 2
    made.apply(BanChange(banned=(banned(),)))
    assert (await nft.until(4)).count(SOURCE) == 1
    assert "delete table" in nft.scripts[2]
    made.apply(BanChange(banned=(banned(OTHER),)))
    assert "delete table" not in await nft.until(5)
    await made.stop()


async def test_after_an_unexpected_error_everything_is_written_anew(nft: Nft) -> None:
    made = kernel(nft)
    await made.start()
    nft.faults = [ValueError("nft said something that is no text")]
    made.apply(BanChange(banned=(banned(),)))
    assert (await nft.until(3)).count(SOURCE) == 1
    assert "delete table" in nft.scripts[2]
    await made.stop()


async def test_expired_bans_are_not_added(nft: Nft) -> None:
    made = kernel(nft)
    made.apply(BanChange(banned=(banned(seconds=-1.0),)))
    await made.start()
    assert "element" not in nft.scripts[0]
    await made.stop()


@pytest.mark.parametrize("missing", ["the capability CAP_NET_ADMIN", ""])
async def test_without_rights_it_logs_why_and_does_nothing(nft: Nft, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(kernel_set, "missing", lambda: missing)
    nft.complaints = ["Error: Could not process rule: Operation not permitted"]
    registry = CollectorRegistry()
    made = kernel(nft, registry)
    await made.start()
    asked = len(nft.scripts)
    assert asked == (0 if missing else 1)
    made.apply(BanChange(banned=(banned(),)))
    await made.stop()
    assert (len(nft.scripts), registry.get_sample_value("sipuri_sip_kernel_bans"), made._wanted) == (asked, 0.0, {})
