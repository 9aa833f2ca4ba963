"""The proxy's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SipProxyConfig:
    """Hold what one proxy process needs to know; addresses are (IPv4, port)."""

    name: str
    "The node's name."
    domain: str
    "The host of the SIP URIs."
    realm: str
    "The digest realm."
    hosts: frozenset[str]
    "Every host part that means us, lower case: domain, aliases, addresses."
    bind: Address
    "Where callers' datagrams arrive."
    public_address: Address
    "How callers see `bind`."
    internal_bind: Address
    "Where the call flow's datagrams arrive."
    internal_address: Address
    "How the call flow sees `internal_bind`."
    record_route_host: str
    "What Record-Route shows outside: the public address or the domain."
    callflow_targets: tuple[Address, ...]
    "Static targets; empty means the registered nodes."
    media_relays: tuple[Address, ...]
    "ng addresses."
    nonce_key: bytes = field(repr=False)
    "Signs nonces."
    route_key: bytes = field(repr=False)
    "Signs route tokens and branches; the same in the whole fleet."
    trusted: tuple[str, ...] = ()
    "CIDRs that per-source limits never touch."
    max_unacknowledged_per_source: int = 10
    "Calls without a password that wait for their ACK, per source address (D8)."
