"""`manage.py runsipdns`: the DNS server for the SIP domain."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from sipproxy.adapters.dns_pool import PooledDns
from sipuri_project.config import dns_config
from sipuri_project.daemon import DaemonCommand


class Command(DaemonCommand):
    """Answer A and SRV queries with the live SIP proxies."""

    help = "Runs an authoritative DNS server for SIPURI_SIP_DOMAIN on SIPURI_DNS_BIND, UDP and TCP."

    def make_service(self, registry: CollectorRegistry, metrics: Address | None, _options: dict[str, Any]) -> PooledDns:
        """Return the DNS server."""
        return PooledDns(dns_config(), registry=registry, metrics=metrics)
