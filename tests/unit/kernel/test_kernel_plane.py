"""What a plane does if the kernel, or the machine around it, refuses; on a host of its own, needs root and nft."""

from __future__ import annotations

import asyncio
import errno
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import closing

import pytest

from mediarelay.aio import kernel_plane as module
from mediarelay.aio import plane_probe
from mediarelay.aio.kernel_plane import KernelPlane, PlaneMissing
from mediarelay.aio.kernel_table import KernelTable
from mediarelay.aio.netlink import NETFILTER, NetlinkSocket
from mediarelay.config import Interface, PlaneChoice, RelayConfig
from mediarelay.kernel.events import CountsWanted, KernelEvent
from mediarelay.kernel.offload import Offload
from mediarelay.kernel.packet_log import bind_group
from mediarelay.kernel.script import SAMPLE_OCTETS
from tests.support.media_lab import lone_host

pytestmark = pytest.mark.root

HOME = "127.0.0.1"


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    with lone_host():
        yield


def made(choice: PlaneChoice) -> tuple[KernelPlane, Offload]:
    config = RelayConfig("relay-1", (HOME, 22222), Interface(HOME, HOME), Interface(HOME, HOME), plane=choice)
    offload = Offload(config.marks, config.max_kernel_flows, ask=deque[KernelEvent]().append, note=deque[str]().append)
    return KernelPlane(config, offload, asyncio.get_running_loop().time, lambda: None), offload


def nft(*words: str) -> str:
    return subprocess.run(["nft", *words], capture_output=True, text=True, check=True).stdout


async def test_a_plane_is_there_until_it_stops() -> None:
    plane, offload = made(PlaneChoice.KERNEL)
    await plane.start(keep=False)
    assert offload.on
    assert plane.flows() == {}
    assert "sipuri_media_127_0_0_1_22222_0" in nft("list", "tables")
    await plane.stop()
    assert nft("list", "ruleset") == ""


async def test_a_plane_that_was_given_up_leaves_nothing_even_if_it_stops_at_once() -> None:
    plane, offload = made(PlaneChoice.KERNEL)
    await plane.start(keep=False)
    nft("delete", "chain", "ip", "sipuri_media_127_0_0_1_22222_0", "prerouting")
    nft("flush", "chain", "ip", "sipuri_media_127_0_0_1_22222_0", "from_relay")
    nft("delete", "map", "ip", "sipuri_media_127_0_0_1_22222_0", "m_saddr")
    plane.handle(CountsWanted())
    assert not offload.on
    assert offload.trouble == "The kernel refused: No such file or directory."
    assert plane.flows() == {}
    await plane.stop()
    assert nft("list", "ruleset") == ""


async def test_an_unexpected_error_does_not_end_the_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = [ValueError("an answer that nobody foresaw")]

    async def probe(config: RelayConfig, table: KernelTable) -> bool:
        if probes:
            raise probes.pop()
        return await plane_probe.probe(config, table)

    plane, offload = made(PlaneChoice.KERNEL)
    await plane.start(keep=False)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(module, "probe", probe)
    nft("delete", "table", "ip", "sipuri_media_127_0_0_1_22222_0")
    plane.handle(CountsWanted())
    assert offload.trouble
    async with asyncio.timeout(20):
        while not offload.on:
            await asyncio.sleep(0.01)
    assert probes == []
    await plane.stop()
    assert nft("list", "ruleset") == ""


async def test_a_group_that_another_program_reads_is_named() -> None:
    plane, offload = made(PlaneChoice.AUTO)
    with closing(NetlinkSocket(NETFILTER)) as other:
        other.ask(bind_group(62, SAMPLE_OCTETS, other.next_sequence()))
        await plane.start(keep=False)
    assert not offload.on
    assert offload.trouble == "the nflog group 62 cannot be read (Operation not permitted); another program may have it."
    assert nft("list", "ruleset") == ""
    await plane.stop()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("mediarelay.aio.kernel_plane.KernelTable", "netfilter has no netlink here: Protocol not supported."),
        ("mediarelay.aio.plane_requirements.NetlinkSocket", "the routing rules cannot be read: Protocol not supported."),
    ],
)
async def test_a_system_without_netlink_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch, place: str, reason: str) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(place, refuse)
    plane, offload = made(PlaneChoice.AUTO)
    await plane.start(keep=False)
    assert offload.trouble == reason
    strict, _ = made(PlaneChoice.KERNEL)
    with pytest.raises(PlaneMissing, match="The kernel cannot forward media: "):
        await strict.start(keep=False)
    for each in (plane, strict):
        await each.stop()
    assert nft("list", "ruleset") == ""


@pytest.mark.parametrize("hook", ["output", "input"])
async def test_a_probe_that_does_not_arrive_is_reported(monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    monkeypatch.setattr(plane_probe, "PROBE_SECONDS", 0.05)
    nft(f"table ip strict {{ chain drops {{ type filter hook {hook} priority 0; policy drop; }}; }}")
    plane, offload = made(PlaneChoice.AUTO)
    await plane.start(keep=False)
    assert offload.trouble == "packets sent through its rules did not arrive."
    assert "sipuri" not in nft("list", "tables")
    await plane.stop()
