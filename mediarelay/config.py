"""The relay's configuration, built once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from daemonkit.address import Address


@dataclass(frozen=True, slots=True)
class Interface:
    """One side of the relay: where its ports are bound, and the address that descriptions name."""

    local: str
    """IPv4 address that the media sockets are bound to."""
    advertised: str
    """IPv4 address written into session descriptions; differs from `local` behind a 1:1 NAT."""


class PlaneChoice(StrEnum):
    """Which plane forwards media (D7)."""

    AUTO = "auto"
    """The kernel if it can, else this process."""
    KERNEL = "kernel"
    """The kernel; if it cannot, the relay does not start."""
    USERSPACE = "userspace"


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Everything that a relay needs to know before it starts."""

    name: str
    """Node name, unique in the fleet."""
    ng_bind: Address
    """Where ng commands arrive (UDP)."""
    external: Interface
    """The side of callers."""
    internal: Interface
    """The side of call-flow nodes."""
    external_ports: tuple[int, int] = (30000, 40000)
    """First and last port, both included; RTP takes the even ones."""
    internal_ports: tuple[int, int] = (40002, 60000)
    """The same for the internal side. The two ranges must not overlap on one address."""
    ng_allow: tuple[str, ...] = ()
    """The ranges whose ng commands are heard, in addition to this machine's own."""
    allow_private: bool = False
    """Send to and learn private addresses on the external side; for labs."""
    own_addresses: frozenset[str] = field(default_factory=frozenset)
    """Addresses of this fleet beyond those of the interfaces; never a media target on the external side."""
    worker: int = 0
    """The index of this worker among those behind one ng address."""
    plane: PlaneChoice = PlaneChoice.USERSPACE
    direct: bool = True
    """Whether the kernel may forward from device to device, past routing and its filters."""
    realtime: bool = True
    """Whether the thread that forwards packets may take real-time priority."""
    dscp: int = 46
    """The class of service of every packet that leaves, RTP and RTCP, from 0 to 63; 46 is expedited forwarding (RFC 4594)."""
    marks: range = range(0x5100_0000, 0x5110_0000)
    """The packet marks that this relay may use in the kernel: a power of two of them, starting at a multiple of that number."""
    log_group: int = 62
    """The nflog group to which the kernel sends sampled copies."""
    journal: str = ""
    """The path of the journal; empty for none."""
    session_timeout: float = 120.0
    """Seconds without a packet after which a session that is not on hold is removed."""

    @property
    def lowest_port(self) -> int:
        """The lowest port of both ranges: one comparison keeps most other traffic away from the kernel's rules."""
        return min(self.external_ports[0], self.internal_ports[0])

    @property
    def max_kernel_flows(self) -> int:
        """The most directions there can be: each has a pair of ports to itself. Small maps stay in the processor's caches."""
        return sum((last - first + 1) // 2 for first, last in (self.external_ports, self.internal_ports))

    def __post_init__(self) -> None:
        for first, last in (self.external_ports, self.internal_ports):
            if not 1024 <= first < last <= 65_535:
                raise ValueError(f"The port range {first}-{last} is not within 1024-65535.")
        if self.external.local == self.internal.local and ranges_overlap(self.external_ports, self.internal_ports):
            raise ValueError("The external and the internal port range overlap on one address.")
        count = len(self.marks)
        if count & (count - 1) or self.marks.start % count or not 0 < self.marks.start < self.marks.stop <= 1 << 32:
            raise ValueError("The packet marks are not a power of two of them, beginning at a multiple of it.")


def ranges_overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two port ranges, given by their first and last port, have a port in common."""
    return one[0] <= other[1] and other[0] <= one[1]


def port_share(ports: tuple[int, int], worker: int, workers: int) -> tuple[int, int]:
    """Return one worker's share of a port range, in whole pairs; raises ValueError if there is less than one pair for each."""
    first = ports[0] + ports[0] % 2
    pairs = (ports[1] - first + 1) // 2 // workers
    if not pairs:
        raise ValueError(f"The port range {ports[0]}-{ports[1]} has no pair for each of {workers} workers.")
    start = first + 2 * pairs * worker
    return start, start + 2 * pairs - 1
