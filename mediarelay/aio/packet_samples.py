"""Reads the copies of packets that the kernel has forwarded; each shows the packet as it arrived."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from socket import inet_ntoa
from struct import Struct

import structlog

from daemonkit.address import Address
from mediarelay.aio.netlink import NETFILTER, NetlinkSocket
from mediarelay.kernel.messages import NetlinkError
from mediarelay.kernel.packet_log import bind_group, read_copy
from mediarelay.kernel.script import SAMPLE_OCTETS

READS_PER_WAKE = 16
MAX_AGE_SECONDS = 1.0
_IP_OCTETS, _UDP_OCTETS = 20, 8
_PORTS = Struct("!HH")


log = structlog.get_logger(__name__)


class PacketSamples:
    """Delivers source, destination, payload and time (on the loop's clock) of each copy.

    Raises KernelRefused if another program has the group.
    """

    def __init__(self, group: int, on_sample: Callable[[Address, Address, bytes, float], None]) -> None:
        self._on_sample = on_sample
        self._loop = asyncio.get_running_loop()
        self._netlink = NetlinkSocket(NETFILTER)
        self._netlink.ask(bind_group(group, SAMPLE_OCTETS, self._netlink.next_sequence()))
        self._loop.add_reader(self._netlink, self._drain)

    def close(self) -> None:
        """Stop reading."""
        self._loop.remove_reader(self._netlink)
        self._netlink.close()

    def _drain(self) -> None:
        now, today = time.monotonic(), time.time()
        try:
            for _ in range(READS_PER_WAKE):
                messages = self._netlink.read()
                if not messages:
                    return
                for message in messages:
                    copy = read_copy(message)
                    if copy is not None:
                        # The wall clock may have been set since: no copy comes from the future, and none has waited long.
                        age = today - copy.at if copy.at else 0.0
                        self._deliver(copy.data, now - min(max(age, 0.0), MAX_AGE_SECONDS))
        except (OSError, NetlinkError) as error:
            log.warning("media_samples_lost", error=str(error))

    def _deliver(self, packet: bytes, at: float) -> None:
        start = 4 * (packet[0] & 0x0F) if packet else 0
        if start < _IP_OCTETS or len(packet) < start + _UDP_OCTETS:
            return
        source, local = _PORTS.unpack_from(packet, start)
        self._on_sample((inet_ntoa(packet[12:16]), source), (inet_ntoa(packet[16:20]), local), packet[start + _UDP_OCTETS :], at)
