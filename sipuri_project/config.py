"""Build each daemon's frozen configuration from the settings."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network

from django.conf import settings

from callflow.core.config import CallflowConfig
from daemonkit.udp import Address
from mediarelay.core.config import Interface, RelayConfig
from sipproxy.core.config import SipProxyConfig
from sipproxy.core.dns_config import DnsConfig

WILDCARD = "0.0.0.0"  # noqa: S104  # it is compared with, not bound
# A documentation address: connecting a UDP socket to it sends nothing and tells which local address the default route uses.
ELSEWHERE = ("192.0.2.1", 9)


def sip_proxy_config() -> SipProxyConfig:
    """Return the SIP proxy's configuration."""
    public = public_sip_address()
    return SipProxyConfig(
        name=f"sipproxy-{settings.NODE_NAME}",
        domain=settings.SIP_DOMAIN,
        realm=settings.SIP_REALM,
        hosts=frozenset({settings.SIP_DOMAIN, *settings.SIP_ALIASES, public[0], settings.SIP_BIND[0]} - {WILDCARD}),
        bind=settings.SIP_BIND,
        public_address=public,
        internal_bind=settings.SIP_INTERNAL_BIND,
        internal_address=settings.SIP_INTERNAL_BIND,
        record_route_host=settings.SIP_DOMAIN if settings.RECORD_ROUTE == "domain" else public[0],
        callflow_targets=settings.CALLFLOW_TARGETS,
        media_relays=settings.MEDIA_RELAYS,
        nonce_key=settings.SIPURI_NONCE_KEY,
        route_key=settings.SIPURI_ROUTE_KEY,
        trusted=settings.GUARD_TRUSTED,
    )


def geo_config() -> tuple[str, tuple[tuple[IPv4Network, str], ...]]:
    """Return the operator's country database (a path or nothing) and the named private networks."""
    return settings.GEOIP_DB, settings.REGION_OVERRIDES


def relay_config() -> RelayConfig:
    """Return the media relay's configuration."""
    return RelayConfig(
        name=f"mediarelay-{settings.NODE_NAME}",
        ng_bind=settings.NG_BIND,
        external=Interface(*settings.MEDIA_EXTERNAL),
        internal=Interface(*settings.MEDIA_INTERNAL),
        external_ports=settings.RTP_PORTS,
        internal_ports=settings.RTP_INTERNAL_PORTS,
        allow_private=settings.MEDIA_ALLOW_PRIVATE,
        own_addresses=frozenset({public_sip_address()[0]}),
    )


def callflow_config() -> CallflowConfig:
    """Return the call flow's configuration."""
    return CallflowConfig(
        name=f"callflow-{settings.NODE_NAME}",
        bind=settings.CALLFLOW_BIND,
        domain=settings.SIP_DOMAIN,
        media_address=settings.CALLFLOW_BIND[0],
        public_url=settings.PUBLIC_URL,
        recordings_dir=str(settings.RECORDINGS_DIR),
        prompts_dir=str(settings.PROMPTS_DIR),
    )


def dns_config() -> DnsConfig:
    """Return the DNS server's configuration."""
    return DnsConfig(name=f"sipdns-{settings.NODE_NAME}", bind=settings.DNS_BIND, domain=settings.SIP_DOMAIN)


def public_sip_address() -> Address:
    """Return where callers reach the proxy: as configured, as bound, or as the default route says."""
    host, _, port = settings.SIP_PUBLIC_ADDRESS.partition(":")
    if host:
        return str(IPv4Address(host)), int(port or settings.SIP_BIND[1])
    if settings.SIP_BIND[0] != WILDCARD:
        return settings.SIP_BIND
    return _default_route_address(), settings.SIP_BIND[1]


def _default_route_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
