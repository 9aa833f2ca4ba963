"""The proxy's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from daemonkit.address import Address
from sipproxy.mac import Keys
from sipproxy.seal import DialogSeal
from sipproxy.transactions.listener import Listener, Transport


@dataclass(frozen=True, slots=True)
class Relay:
    """A media relay that calls may use."""

    address: Address
    """Where it takes ng commands."""
    weight: int = 1
    """Its share of the new calls, in proportion to the weights of the others."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The files of TLS; they are read again when they change."""

    certificate: str
    """Path of the chain in PEM."""
    key: str
    """Path of the private key in PEM."""
    client_ca: str = ""
    """Path of the authorities whose certificates clients must show; empty asks for none."""


@dataclass(frozen=True, slots=True)
class HepConfig:
    """Where copies of messages go, in HEP version 3."""

    host: str
    """An IPv4 address or a name."""
    port: int
    """A UDP port."""
    agent_id: int
    """Tells the collector which node sends, 32 bits."""
    key: bytes = field(default=b"", repr=False)
    """The collector's authentication key; empty sends none."""


@dataclass(frozen=True, slots=True)
class SipProxyConfig:
    """The configuration of one proxy process; addresses are (IPv4, port)."""

    name: str
    """The node's name."""
    domain: str
    """The host of the SIP URIs."""
    realm: str
    """The digest realm."""
    hosts: frozenset[str]
    """Every host part that names this system, lower case: domain, aliases, addresses."""
    external: tuple[Listener, ...]
    """Where callers' messages arrive; the first one speaks UDP and is what the pool shows."""
    internal: Listener
    """Where the call flow's datagrams arrive."""
    callflow_targets: tuple[Address, ...]
    """Static targets; empty means the registered nodes."""
    media_relays: tuple[Relay, ...]
    """The relays among which new calls are shared out."""
    worker: int
    """Which of the node's processes this is, from 0; written into branches and nonces."""
    nonce_key: bytes = field(repr=False)
    """Signs nonces; the same in the whole fleet."""
    route_keys: Keys = field(repr=False)
    """Seal what dialogs carry for us and sign branches; the same in the whole fleet."""
    invite_keys: Keys = field(repr=False)
    """Seal what the call flow is told of a call; the same in the whole fleet, call flows included."""
    workers: int = 1
    """How many processes the node has."""
    claims_url: str = field(default="", repr=False)
    """The Redis in which the proxies of the fleet claim nonces; empty where there is none."""
    record_route_host: str = ""
    """What Record-Route shows outside instead of the address that the caller came to."""
    tls: TlsConfig | None = None
    """The files of the listeners that speak TLS."""
    trusted: tuple[str, ...] = ()
    """CIDRs whose sources are neither limited nor banned."""
    drop_foreign_hosts: bool = False
    """Whether requests from outside that name a host which is not ours get no answer."""
    guard_kernel: bool = False
    """Whether the kernel drops packets of banned sources, where the process has the rights to ask for it."""
    digest_allow_no_qop: bool = False
    """Whether clients that ignore qop (RFC 2069) may answer a challenge."""
    max_unacknowledged_per_source: int = 10
    """Calls without a password that may wait for their ACK, per source address."""
    dscp: int = 24
    """What marks our packets for routers that give voice precedence, 0 to 63 (RFC 2474); 24 is CS3, for signalling (RFC 4594)."""
    stores_messages: bool = True
    """Whether the database keeps the messages of calls."""
    hep: HepConfig | None = None
    """Which collector gets copies of them."""

    @property
    def exports_messages(self) -> bool:
        """True if a collector gets a copy of each message."""
        return self.hep is not None

    @property
    def has_static_targets(self) -> bool:
        """True if calls go to foreign targets: then nobody but the proxy can write the record of a call's end."""
        return bool(self.callflow_targets)

    def seal(self, sip_call_id: str, caller_tag: str) -> DialogSeal:
        """Return what seals and opens the texts that a dialog carries for us."""
        return DialogSeal(self.route_keys, sip_call_id, caller_tag)

    def external_listener(self, transport: Transport, index: int) -> Listener:
        """Return the external listener that a route token names, or the nearest one that this node has."""
        alike = [held for held in self.external if held.transport is transport] or self.external
        return next((held for held in alike if held.index == index), alike[0])
