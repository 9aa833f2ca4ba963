"""Build each daemon's frozen configuration from the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from django.conf import settings

from callflow.adapters.order_bell import Rings, postgres_rings, redis_rings
from callflow.config import CallflowConfig
from daemonkit.address import Address
from daemonkit.interfaces import default_route_address, local_addresses
from mediarelay.config import Interface, PlaneChoice, RelayConfig, port_share
from sipproxy.config import HepConfig, Relay, SipProxyConfig, TlsConfig
from sipproxy.dns_config import DnsConfig
from sipproxy.headers.flow import MAX_LISTENERS
from sipproxy.mac import Keys, mac_key, mac_keys
from sipproxy.transactions.listener import Listener, Side, Transport

WILDCARD = "0.0.0.0"  # noqa: S104  # it is compared with, not bound


MARKS_EACH = 1 << 20
"""Packet marks of one worker of the relay: 16 such blocks fill the 24 bits behind SIPURI_MEDIA_MARK_BASE."""
FIRST_LOG_GROUP = 62
"""The nflog group of the first worker; the others have the groups after it."""


def sip_proxy_config(worker: int = 0) -> SipProxyConfig:
    """Return the configuration of one worker of the SIP proxy; each has an internal port of its own."""
    external = external_listeners()
    inside = settings.SIP_INTERNAL_BIND[0], settings.SIP_INTERNAL_BIND[1] + worker
    name = f"sipproxy-{settings.NODE_NAME}"
    return SipProxyConfig(
        name=name if settings.SIP_WORKERS == 1 else f"{name}-{worker}",
        domain=settings.SIP_DOMAIN,
        realm=settings.SIP_REALM,
        hosts=frozenset({settings.SIP_DOMAIN, *settings.SIP_ALIASES, *(held.address[0] for held in external), *_bound_hosts(external)}),
        external=external,
        internal=Listener(Side.INTERNAL, Transport.UDP, inside, inside),
        record_route_host=settings.SIP_DOMAIN if settings.RECORD_ROUTE == "domain" else "",
        tls=_tls_config(),
        worker=worker,
        workers=settings.SIP_WORKERS,
        claims_url=settings.REDIS_URL,
        callflow_targets=settings.CALLFLOW_TARGETS,
        media_relays=tuple(Relay(address, weight) for address, weight in settings.MEDIA_RELAYS),
        nonce_key=mac_key(settings.SIPURI_NONCE_KEY),
        route_keys=mac_keys(settings.ROUTE_KEYS),
        invite_keys=_invite_keys(),
        trusted=settings.GUARD_TRUSTED,
        drop_foreign_hosts=settings.DROP_FOREIGN_HOSTS,
        guard_kernel=settings.GUARD_KERNEL == "auto",
        digest_allow_no_qop=settings.DIGEST_ALLOW_NO_QOP,
        dscp=settings.SIP_DSCP,
        stores_messages=settings.MESSAGE_STORE_DAYS > 0,
        hep=_hep_config(),
    )


def external_listeners() -> tuple[Listener, ...]:
    """Return where callers reach the proxy: UDP and TCP at the same port, and TLS if it has a certificate.

    A wildcard becomes one listener for each address of the machine, so that an answer leaves from the address that was asked.
    """
    found = [
        Listener(Side.EXTERNAL, transport, bind, public_address(bind), index)
        for transport in (Transport.UDP, Transport.TCP)
        for index, bind in enumerate(_expanded(settings.SIP_BIND))
    ]
    if settings.SIP_TLS_CERT:
        secure = enumerate(_expanded(settings.SIP_TLS_BIND))
        found += [Listener(Side.EXTERNAL, Transport.TLS, bind, (public_address(bind)[0], bind[1]), index) for index, bind in secure]
    return tuple(found)


def _tls_config() -> TlsConfig | None:
    if not settings.SIP_TLS_CERT:
        return None
    return TlsConfig(settings.SIP_TLS_CERT, settings.SIP_TLS_KEY or settings.SIP_TLS_CERT, settings.SIP_TLS_CLIENT_CA)


def _hep_config() -> HepConfig | None:
    if settings.HEP_COLLECTOR is None:
        return None
    return HepConfig(*settings.HEP_COLLECTOR, agent_id=settings.HEP_ID, key=settings.HEP_KEY.encode())


def _bound_hosts(listeners: tuple[Listener, ...]) -> set[str]:
    return {listener.bind[0] for listener in listeners}


def _expanded(bind: Address) -> tuple[Address, ...]:
    if bind[0] != WILDCARD:
        return (bind,)
    first = default_route_address()
    others = [host for host in local_addresses() if host != first]
    return tuple((host, bind[1]) for host in (first, *others)[:MAX_LISTENERS])


def geo_config() -> tuple[str, tuple[tuple[IPv4Network, str], ...]]:
    """Return the operator's country database (a path or nothing) and the named private networks."""
    return settings.GEOIP_DB, settings.REGION_OVERRIDES


def relay_config(worker: int = 0) -> RelayConfig:
    """Return the configuration of one worker of the media relay; each has its share of the ports and of the marks."""
    name = f"mediarelay-{settings.NODE_NAME}"
    workers = settings.MEDIA_WORKERS
    base = settings.MEDIA_MARK_BASE + worker * MARKS_EACH
    return RelayConfig(
        name=name if workers == 1 else f"{name}-{worker}",
        ng_bind=settings.NG_BIND,
        ng_allow=settings.NG_ALLOW,
        external=Interface(*settings.MEDIA_EXTERNAL),
        internal=Interface(*settings.MEDIA_INTERNAL),
        external_ports=port_share(settings.RTP_PORTS, worker, workers),
        internal_ports=port_share(settings.RTP_INTERNAL_PORTS, worker, workers),
        allow_private=settings.MEDIA_ALLOW_PRIVATE,
        own_addresses=frozenset(listener.address[0] for listener in external_listeners()),
        worker=worker,
        plane=PlaneChoice(settings.MEDIA_PLANE),
        direct=settings.MEDIA_DIRECT,
        realtime=settings.MEDIA_REALTIME,
        dscp=settings.MEDIA_DSCP,
        marks=range(base, base + MARKS_EACH),
        log_group=FIRST_LOG_GROUP + worker,
        journal=str(settings.VAR_DIR / f"relay-{settings.NG_BIND[1]}-{worker}.journal"),
    )


def callflow_config() -> CallflowConfig:
    """Return the call flow's configuration."""
    return CallflowConfig(
        name=f"callflow-{settings.NODE_NAME}",
        bind=settings.CALLFLOW_BIND,
        media_address=settings.CALLFLOW_BIND[0],
        public_url=settings.PUBLIC_URL,
        recordings_dir=str(settings.RECORDINGS_DIR),
        prompts_dir=str(settings.PROMPTS_DIR),
        invite_keys=_invite_keys(),
        spool_dir=str(settings.VAR_DIR),
        natural_voices=settings.SPEECH == "auto",
        recognition=settings.RECOGNITION == "auto",
    )


def order_rings() -> Callable[[], Rings] | None:
    """Return what hears that the API has an order for a call, None where nothing tells it."""
    if settings.REDIS_URL:
        return partial(redis_rings, settings.REDIS_URL)
    if settings.DATABASE_DIRECT_URL:
        return partial(postgres_rings, settings.DATABASE_DIRECT_URL, settings.POSTGRES_LIVENESS)
    return None


def _invite_keys() -> Keys:
    return mac_keys(settings.ROUTE_KEYS, b"invite")


def dns_config() -> DnsConfig:
    """Return the DNS server's configuration."""
    return DnsConfig(name=f"sipdns-{settings.NODE_NAME}", bind=settings.DNS_BIND, domain=settings.SIP_DOMAIN)


def public_address(bind: Address) -> Address:
    """Return the address under which callers see a listener: the configured one, else its own."""
    host, _, port = settings.SIP_PUBLIC_ADDRESS.partition(":")
    return (str(IPv4Address(host)), int(port or bind[1])) if host else bind
