"""The kernel plane of one relay: set it up, prove it, answer the core's requests, remove it.

At the start a packet is sent each way through the real rules, between sockets on the real addresses. If anything is
missing, the relay forwards in userspace and logs the reason in one sentence. A plane that fails later is given up and
tried again after half a minute.

A flow's counts are the sum of both paths: the routed one, which it takes first, and the one from device to device.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import structlog

from daemonkit.errors import CannotStart
from daemonkit.nft import missing, run_nft
from daemonkit.rounds import surviving
from mediarelay.aio.direct_path import DirectPath
from mediarelay.aio.kernel_table import KernelTable
from mediarelay.aio.netlink import KernelRefused
from mediarelay.aio.packet_samples import PacketSamples
from mediarelay.aio.plane_probe import probe
from mediarelay.aio.plane_requirements import what_is_missing
from mediarelay.config import PlaneChoice, RelayConfig
from mediarelay.kernel.direct_script import attach_script, create_direct_script, delete_direct_script, direct_rules
from mediarelay.kernel.events import CheckWanted, CountsWanted, FlowsEnded, FlowsProven, FlowsWanted, KernelEvent
from mediarelay.kernel.flow import NOTHING, Counts, KernelFlow
from mediarelay.kernel.messages import NetlinkError
from mediarelay.kernel.offload import Offload
from mediarelay.kernel.routes import Device
from mediarelay.kernel.script import create_script, delete_script, table_name

RETRY_SECONDS = 30.0
ROUTED_EACH = 2
ANY_DEVICE = Device(0, "any", is_up=True, is_ethernet=True, mtu=0, address="", master=0)

log = structlog.get_logger(__name__)


class PlaneMissing(CannotStart):
    """The reason why the kernel cannot carry media, in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The kernel cannot forward media: {reason}")
        self.reason = reason


class KernelPlane:
    """Does in the kernel what an `Offload` asks; `clock` is the loop's, `pump` handles the events that the `Offload` emits."""

    def __init__(self, config: RelayConfig, offload: Offload, clock: Callable[[], float], pump: Callable[[], None]) -> None:
        self._config = config
        self._offload = offload
        self._clock = clock
        self._pump = pump
        self._direct = DirectPath(config, self._nft, self._on_ways)
        self._table: KernelTable | None = None
        self._samples: PacketSamples | None = None
        self._retry: asyncio.Task[None] | None = None
        self._made = False
        self._reads = 0
        # One thread: whatever was begun is over before the table is deleted.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nft")

    @property
    def fingerprint(self) -> str:
        """Identifies this relay's rules: those of another version or configuration have another fingerprint."""
        rules = create_script(self._config) + attach_script(self._config, ANY_DEVICE, ANY_DEVICE) + create_direct_script(self._config)
        return hashlib.sha256(rules.encode() + b"".join(b"".join(rule) for rule in direct_rules(self._config))).hexdigest()

    async def start(self, *, keep: bool) -> None:
        """Create the plane, or keep an existing table; raises PlaneMissing if the plane is required and cannot be created."""
        if self._config.plane is PlaneChoice.USERSPACE:
            self._offload.stay_out("SIPURI_MEDIA_PLANE says userspace.")
            await self._delete()
            return
        try:
            await self._open(keep=keep)
        except PlaneMissing as error:
            if self._config.plane is PlaneChoice.KERNEL:
                raise
            self._offload.stay_out(error.reason)
            log.info("media_plane", plane="userspace", missing=error.reason)
        else:
            log.info("media_plane", plane="kernel", table=table_name(self._config), not_direct=self._direct.obstacle)

    async def stop(self) -> None:
        """Remove the rules."""
        if self._retry is not None:
            self._retry.cancel()
        self._close()
        if self._made:
            await self._delete()
        self._pool.shutdown(wait=False)

    def flows(self) -> dict[int, KernelFlow]:
        """Return the kernel's counts by mark; empty if it carries nothing."""
        try:
            return self._table.flows() if self._table is not None else {}
        except (KernelRefused, NetlinkError):
            return {}

    def keep(self, found: Mapping[int, KernelFlow], marks: frozenset[int]) -> None:
        """Keep those of the found flows that have these marks; remove the others, which belong to no session."""
        if self._table is not None:
            try:
                self._offload.shortened(self._direct.adopt(flow for mark, flow in found.items() if mark in marks))
                self._table.end([flow for mark, flow in found.items() if mark not in marks])
            except (KernelRefused, NetlinkError) as error:
                self._fail(error)

    def handle(self, event: KernelEvent) -> None:
        """Do what an event asks and answer it."""
        if self._table is None:
            self._offload.failed(self._offload.trouble, self._clock())
            return
        try:
            self._answer(self._table, event)
        except (KernelRefused, NetlinkError) as error:
            self._fail(error)

    def _answer(self, table: KernelTable, event: KernelEvent) -> None:
        offload = self._offload
        if isinstance(event, FlowsWanted):
            table.install(event.flows)
            offload.installed(event.flows, self._clock())
        elif isinstance(event, FlowsEnded):
            # What the direct path no longer takes goes the routed way, so the direct one ends first.
            direct = self._direct.end(event.flows)
            routed = table.end(event.flows)
            offload.ended(event, {mark: _added(left, direct.get(mark, NOTHING)) for mark, left in routed.items()}, self._clock())
        elif isinstance(event, FlowsProven):
            offload.shortened(self._direct.take(event.flows))
        elif isinstance(event, CountsWanted):
            offload.counted(self._read_counts(table), self._clock())
        elif isinstance(event, CheckWanted):
            self._check(table, event)

    def _read_counts(self, table: KernelTable) -> dict[int, Counts]:
        """Return the counts of flows that have grown since the last reading, by mark.

        While all flows are seen to go from device to device, the routed path is read every second time only.
        """
        moved = self._direct.read_counts()
        if self._direct.active < len(self._offload) or self._reads % ROUTED_EACH == 0:
            moved += table.read_counts()
        self._reads += 1
        return {mark: _added(table.counts(mark), self._direct.counts(mark)) for mark in moved}

    def _check(self, table: KernelTable, event: CheckWanted) -> None:
        lost = self._offload.lost_streams
        self._offload.checked(table.check(event.flows), self._clock())
        if self._offload.lost_streams > lost:
            log.error("media_lost_in_kernel", streams=self._offload.lost_streams, hint="Does another table drop what is forwarded?")

    def _on_ways(self, moved: Iterable[KernelFlow]) -> None:
        self._offload.ways_changed([flow.mark for flow in moved])
        self._pump()

    def _fail(self, error: Exception) -> None:
        """Give the plane up: forward everything in userspace, and try again later."""
        log.error("media_plane_failed", error=str(error))
        self._close()
        self._offload.failed(f"The kernel refused: {error}.", self._clock())
        self._retry = asyncio.create_task(self._open_again())

    def _close(self) -> None:
        self._direct.close()
        if self._samples is not None:
            self._samples.close()
            self._samples = None
        if self._table is not None:
            self._table.close()
            self._table = None

    async def _open_again(self) -> None:
        # What is still in the kernel would forward flows that the core believes to be in userspace.
        await self._delete()
        while self._table is None:
            await asyncio.sleep(RETRY_SECONDS)
            with surviving("media_plane"):
                await self._try_again()

    async def _try_again(self) -> None:
        try:
            await self._open(keep=False)
        except PlaneMissing as error:
            log.warning("media_plane", plane="userspace", missing=error.reason)
        except Exception:
            self._close()
            raise

    async def _open(self, *, keep: bool) -> None:
        """Create the table and prove it; raises PlaneMissing."""
        if reason := what_is_missing(self._config):
            await self._abandon(reason)
        try:
            table = KernelTable(table_name(self._config))
        except OSError as error:
            await self._abandon(f"netfilter has no netlink here: {error.strerror}.")
        self._made = True
        if not (keep and _is_there(table)) and (trouble := await self._nft(create_script(self._config))):
            table.close()
            raise PlaneMissing(f"nft says: {trouble}.")
        self._table = table
        try:
            self._samples = PacketSamples(self._config.log_group, self._offload.sample)
        except (KernelRefused, NetlinkError, OSError) as error:
            await self._abandon(f"the nflog group {self._config.log_group} cannot be read ({error}); another program may have it.")
        try:
            arrived = await probe(self._config, table)
        except (KernelRefused, NetlinkError, OSError) as error:
            await self._abandon(f"{error}.")
        else:
            if not arrived:
                await self._abandon("packets sent through its rules did not arrive.")
            await self._direct.open(keep=keep)
            self._offload.start()

    async def _abandon(self, reason: str) -> NoReturn:
        self._close()
        await self._delete()
        raise PlaneMissing(reason)

    async def _delete(self) -> None:
        """Remove this relay's tables from the kernel; a killed relay may have left them, and they would forward for ever."""
        if missing():
            return
        await self._nft(delete_script(self._config))
        await self._nft(delete_direct_script(self._config))

    async def _nft(self, script: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._pool, run_nft, script)


def _added(one: Counts, other: Counts) -> Counts:
    return Counts(one.packets + other.packets, one.octets + other.octets)


def _is_there(table: KernelTable) -> bool:
    try:
        table.flows()
    except (KernelRefused, NetlinkError):
        return False
    return True
