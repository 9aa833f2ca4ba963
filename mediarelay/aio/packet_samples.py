"""Read the copies of packets that the kernel has forwarded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mediarelay.aio.netlink import NETFILTER, NetlinkSocket
from mediarelay.core.kernel_script import SAMPLE_OCTETS
from mediarelay.netlink.messages import NetlinkError
from mediarelay.netlink.packet_log import bind_group, read_copy

__all__ = ["PacketSamples"]

READS_PER_WAKE = 16
UDP_HEADER_OCTETS = 8


class PacketSamples:
    """Deliver mark and payload of each copy; raises KernelRefused where another program has the group."""

    def __init__(self, group: int, on_sample: Callable[[int, bytes], None]) -> None:
        self.errors = 0
        self._on_sample = on_sample
        self._netlink = NetlinkSocket(NETFILTER)
        self._netlink.ask(bind_group(group, SAMPLE_OCTETS, self._netlink.next_sequence()))
        asyncio.get_running_loop().add_reader(self._netlink, self._drain)

    def close(self) -> None:
        """Stop reading."""
        asyncio.get_running_loop().remove_reader(self._netlink)
        self._netlink.close()

    def _drain(self) -> None:
        try:
            for _ in range(READS_PER_WAKE):
                messages = self._netlink.read()
                if not messages:
                    return
                for message in messages:
                    copy = read_copy(message)
                    if copy is not None and copy.data:
                        self._on_sample(copy.mark, copy.data[4 * (copy.data[0] & 0x0F) + UDP_HEADER_OCTETS :])
        except (OSError, NetlinkError):
            self.errors += 1
