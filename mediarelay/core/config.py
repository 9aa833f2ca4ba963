"""The relay's configuration, built once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Address", "Interface", "RelayConfig"]

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Interface:
    """One side of the relay: where its ports are bound and what the SDP says instead."""

    local: str
    """IPv4 address that the media sockets are bound to."""
    advertised: str
    """IPv4 address written into session descriptions; differs from `local` behind a 1:1 NAT."""


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
    allow_private: bool = False
    """Send to and learn private addresses on the external side; for labs."""
    own_addresses: frozenset[str] = field(default_factory=frozenset)
    """Addresses of this fleet beyond those of the interfaces; never a media target on the external side."""
    session_timeout: float = 120.0
    """Seconds without a packet after which a session that is not on hold is removed."""

    def __post_init__(self) -> None:
        external, internal = self.external_ports, self.internal_ports
        for first, last in (external, internal):
            if not 1024 <= first < last <= 65_535:
                raise ValueError(f"The port range {first}-{last} is not within 1024-65535.")
        if self.external.local == self.internal.local and external[0] <= internal[1] and internal[0] <= external[1]:
            raise ValueError("The external and the internal port range overlap on one address.")
