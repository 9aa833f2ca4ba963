"""`manage.py runsipproxy`: the SIP proxy."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from daemonkit.udp import Address
from sipproxy.adapters.node import ProxyNode
from sipuri_project.config import geo_config, sip_proxy_config
from sipuri_project.daemon import DaemonCommand
from voiceapps.geo import CountryLookup


class Command(DaemonCommand):
    """Let calls in that may come in, and relay their signalling."""

    help = "Runs the SIP proxy: callers on SIPURI_SIP_BIND, the call flow on SIPURI_SIP_INTERNAL_BIND."

    def make_service(self, registry: CollectorRegistry, metrics: Address | None) -> ProxyNode:
        """Return the proxy."""
        countries = CountryLookup(*geo_config())
        return ProxyNode(sip_proxy_config(), country_of=countries.country_of, registry=registry, metrics=metrics)
