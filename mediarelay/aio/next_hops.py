"""The next hop of packets from here: routes and devices as the kernel has them now, and a notice of each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mediarelay.aio.netlink import ROUTE, XFRM, KernelRefused, NetlinkSocket
from mediarelay.kernel.messages import NetlinkError
from mediarelay.kernel.routes import (
    DEVICE_AND_ROUTE_GROUPS,
    POLICY_GROUPS,
    Device,
    Hop,
    ask_devices,
    ask_policies,
    ask_route,
    is_policy,
    read_device,
    read_hop,
)
from mediarelay.kernel.routing_rules import ask_rules, read_rule

GATHER_SECONDS = 0.2
MAX_KNOWN = 10_000
"""Addresses whose hop is remembered."""


class NextHops:
    """A cache of the kernel's answers; `on_change` is called a moment after the kernel reports a change, with the cache empty.

    Raises OSError if the system has no netlink.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._routes = NetlinkSocket(ROUTE)
        self._notices = [NetlinkSocket(ROUTE, DEVICE_AND_ROUTE_GROUPS)]
        self._policies: NetlinkSocket | None = None
        try:
            self._policies = NetlinkSocket(XFRM)
            self._notices.append(NetlinkSocket(XFRM, POLICY_GROUPS))
        except OSError:
            pass  # A kernel without IPsec has no policies.
        self._known: dict[str, Hop | None] = {}
        self._devices: dict[int, Device] = {}
        self._gathering: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        for notices in self._notices:
            self._loop.add_reader(notices, self._hear, notices)

    def close(self) -> None:
        """Stop listening for changes."""
        if self._gathering is not None:
            self._gathering.cancel()
        for notices in self._notices:
            self._loop.remove_reader(notices)
            notices.close()
        self._routes.close()
        if self._policies is not None:
            self._policies.close()

    def devices(self) -> dict[int, Device]:
        """Return every device but the loopback, by index; raises KernelRefused and NetlinkError."""
        found = map(read_device, self._routes.ask(ask_devices(self._routes.next_sequence())))
        self._devices = {device.index: device for device in found if device is not None}
        return self._devices

    def find(self, address: str) -> tuple[Hop, Device] | None:
        """Return the next hop to an address, or None if there is no plain route; raises NetlinkError."""
        if address not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[address] = self._ask(address)
        hop = self._known[address]
        device = self._devices.get(hop.device) if hop is not None else None
        return (hop, device) if hop is not None and device is not None else None

    def obstacle(self) -> str:
        """Return what may send packets another way than their destination alone says, in one sentence; empty if nothing does.

        Raises KernelRefused and NetlinkError.
        """
        rules = map(read_rule, self._routes.ask(ask_rules(self._routes.next_sequence())))
        if any(rule is not None and not rule.is_default for rule in rules):
            return "there are routing rules beyond the usual three"
        policies = self._policies.ask(ask_policies(self._policies.next_sequence())) if self._policies is not None else []
        return "there are IPsec policies" if any(map(is_policy, policies)) else ""

    def _ask(self, address: str) -> Hop | None:
        try:
            answers = self._routes.ask(ask_route(address, self._routes.next_sequence()))
        except KernelRefused:
            return None  # There is no route.
        return next((hop for answer in answers if (hop := read_hop(answer, address)) is not None), None)

    def _hear(self, notices: NetlinkSocket) -> None:
        try:
            notices.read()
        except (OSError, NetlinkError):
            pass  # Even one that cannot be read was a notice of a change.
        if self._gathering is None:
            self._gathering = self._loop.call_later(GATHER_SECONDS, self._tell)

    def _tell(self) -> None:
        self._gathering = None
        self._known.clear()
        self._on_change()
