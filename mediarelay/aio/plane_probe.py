"""Prove the kernel plane before it carries a call: a packet each way through the real rules, between the real addresses."""

from __future__ import annotations

import asyncio
import socket

from daemonkit.address import Address
from mediarelay.aio.kernel_table import KernelTable
from mediarelay.config import RelayConfig
from mediarelay.kernel.flow import KernelFlow

PROBE_SECONDS = 0.5
PROBE = b"\x80\x00" + bytes(170)


async def probe(config: RelayConfig, table: KernelTable) -> bool:
    """Send a packet each way between the two addresses; return whether both arrived as they should."""
    outside: Address = (config.external.local, config.external_ports[0])
    inside: Address = (config.internal.local, config.internal_ports[0])
    with _socket(config.external.local) as caller, _socket(config.internal.local) as node:
        ends: tuple[Address, Address] = (caller.getsockname(), node.getsockname())
        flows = (
            KernelFlow(config.marks[-2], ends[0], outside, inside, ends[1]),
            KernelFlow(config.marks[-1], ends[1], inside, outside, ends[0]),
        )
        table.install(flows)
        try:
            there = await _arrives(caller, outside, node, inside)
            return there and await _arrives(node, inside, caller, outside)
        finally:
            table.end(flows)


def _socket(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    return sock


async def _arrives(sender: socket.socket, to: Address, receiver: socket.socket, comes_from: Address) -> bool:
    try:
        sender.sendto(PROBE, to)
        async with asyncio.timeout(PROBE_SECONDS):
            data, source = await asyncio.get_running_loop().sock_recvfrom(receiver, len(PROBE) + 1)
    except (TimeoutError, PermissionError):
        # A firewall may refuse at once.
        return False
    return data == PROBE and source == comes_from
