"""The flows that go from device to device: which ones can, over which next hop, and what happens when routes change.

A flow comes here once its packets have been seen to leave by the kernel's own routing. From then on it is in both
tables, and any packet that this table does not take goes the routed way. When devices, routes, rules or IPsec
policies change, every hop is looked up again; flows whose hop has changed leave the kernel and come back later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from mediarelay.aio.direct_table import DirectTable
from mediarelay.aio.netlink import KernelRefused
from mediarelay.aio.next_hops import NextHops
from mediarelay.config import RelayConfig
from mediarelay.kernel.direct_script import (
    LONGEST_PACKET,
    attach_script,
    create_direct_script,
    delete_direct_script,
    detach_script,
    direct_rules,
    direct_table_name,
)
from mediarelay.kernel.flow import NOTHING, Counts, KernelFlow
from mediarelay.kernel.messages import NetlinkError
from mediarelay.kernel.routes import Device, Hop

HOPS_AT_ONCE = 100
"""Hops looked up between two turns of the event loop."""

log = structlog.get_logger(__name__)


class DirectPath:
    """The path from device to device; `nft` runs a script, `on_change` gets the marks of flows whose hop has changed."""

    def __init__(
        self, config: RelayConfig, nft: Callable[[str], Awaitable[str]], on_change: Callable[[Iterable[KernelFlow]], None]
    ) -> None:
        self._config = config
        self._nft = nft
        self._on_change = on_change
        self.obstacle = "it has not begun"
        """Why no flow can take this path; empty if flows can."""
        self._table: DirectTable | None = None
        self._hops: NextHops | None = None
        self._flows: dict[KernelFlow, Hop] = {}
        self._attached: dict[int, str] = {}
        self._following: asyncio.Task[None] | None = None
        self._stale = False

    async def open(self, *, keep: bool) -> None:
        """Create the table and let it watch all devices, or keep an existing one; `obstacle` says what went wrong."""
        if not self._config.direct:
            self.obstacle = "SIPURI_MEDIA_DIRECT says no"
            await self._nft(delete_direct_script(self._config))
            return
        try:
            self.obstacle = await self._open(keep=keep)
        except (KernelRefused, NetlinkError, OSError) as error:
            self.obstacle = f"the kernel refused: {error}"
            await self.remove()

    def close(self) -> None:
        """Close the sockets to the kernel; the table stays."""
        if self._following is not None:
            self._following.cancel()
        if self._hops is not None:
            self._hops.close()
        if self._table is not None:
            self._table.close()
        self._following = self._hops = self._table = None
        self._flows.clear()
        self._attached.clear()

    async def remove(self) -> None:
        """Delete the table."""
        self.close()
        await self._nft(delete_direct_script(self._config))

    def adopt(self, flows: Iterable[KernelFlow]) -> list[KernelFlow]:
        """Keep those of the flows that an earlier process left here, and return them; raises KernelRefused and NetlinkError."""
        if self._table is not None:
            found = {flow: hop for flow in flows if (hop := self._hop(flow)) is not None}
            self._table.adopt(list(found.items()))
            self._flows = {flow: hop for flow, hop in found.items() if flow in self._table}
        return list(self._flows)

    def take(self, flows: Iterable[KernelFlow]) -> list[KernelFlow]:
        """Send flows this way; return those that can go. Raises KernelRefused and NetlinkError."""
        if self._table is None:
            return []
        new = {flow: hop for flow in flows if flow not in self._flows and (hop := self._hop(flow)) is not None}
        self._table.install(list(new.items()))
        self._flows |= new
        return list(new)

    def end(self, flows: Iterable[KernelFlow]) -> dict[int, Counts]:
        """Take flows off this path; return the last counts, by mark, of those that were on it. Raises KernelRefused and NetlinkError."""
        if self._table is None:
            return {}
        for flow in flows:
            self._flows.pop(flow, None)
        return self._table.end(flows)

    @property
    def active(self) -> int:
        """The number of flows that have been seen to go this way."""
        return self._table.active if self._table is not None else 0

    def read_counts(self) -> list[int]:
        """Read the counters of this path; return the marks of flows whose counts have grown. Raises KernelRefused and NetlinkError."""
        return self._table.read_counts() if self._table is not None else []

    def counts(self, mark: int) -> Counts:
        """Return what had left this way of a flow at the last reading."""
        return self._table.counts(mark) if self._table is not None else NOTHING

    async def _open(self, *, keep: bool) -> str:
        """Return what prevents the use of this path, in one sentence; empty if nothing does."""
        self._table = DirectTable(direct_table_name(self._config))
        if not (keep and self._table.is_there()):
            if trouble := await self._nft(create_direct_script(self._config)):
                await self.remove()
                return f"nft says: {trouble}"
            self._table.write_rules(direct_rules(self._config))
        self._hops = NextHops(self._changed)
        await self._attach(self._hops.devices())
        return self._hops.obstacle()

    async def _attach(self, devices: dict[int, Device]) -> None:
        """Watch what arrives at each device."""
        for index in self._attached.keys() - devices.keys():
            del self._attached[index]
            # Some kernels remove the chain themselves.
            await self._nft(detach_script(self._config, index))
        for index, device in devices.items():
            script = attach_script(self._config, device, devices.get(device.master))
            if device.is_ethernet and '"' not in device.name and self._attached.get(index) != script:
                self._attached[index] = script
                if trouble := await self._nft(script):
                    log.warning("media_device_not_watched", device=device.name, error=trouble)

    def _hop(self, flow: KernelFlow) -> Hop | None:
        """Return a flow's next hop, or None if reaching it may need more than sending a frame to a neighbour."""
        found = self._hops.find(flow.target[0]) if self._hops is not None and not self.obstacle else None
        if found is None:
            return None
        hop, device = found
        return hop if device.is_up and device.is_ethernet and device.mtu >= LONGEST_PACKET else None

    def _changed(self) -> None:
        self._stale = True
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        """Look everything up again, and once more if something changed meanwhile."""
        while self._stale and self._hops is not None:
            self._stale = False
            try:
                await self._attach(self._hops.devices())
                self.obstacle = self._hops.obstacle()
                moved = await self._moved()
            except (KernelRefused, NetlinkError) as error:
                self.obstacle, moved = f"the kernel refused: {error}", list(self._flows)
            if moved:
                log.info("media_routes_changed", flows=len(moved), obstacle=self.obstacle)
            self._on_change(moved)

    async def _moved(self) -> list[KernelFlow]:
        """Return the flows that cannot stay on this path."""
        moved = []
        for number, (flow, hop) in enumerate(list(self._flows.items()), 1):
            if self._hop(flow) != hop:
                moved.append(flow)
            if number % HOPS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return moved
