"""The DNS server's configuration, built once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """The configuration of one DNS server process."""

    name: str
    """Node name, unique in the fleet."""
    bind: tuple[str, int]
    """Where queries arrive, UDP and TCP."""
    domain: str
    """The zone: the domain of the SIP URIs."""
    ttl: int = 60
    """Seconds that an answer may be cached."""
