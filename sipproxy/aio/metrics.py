"""The proxy's figures for Prometheus; every label comes from a closed set."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from sipproxy.core.events import CallRefused, RequestSeen, ResponseSent
from sipproxy.core.proxy import ProxyCore


class ProxyMetrics:
    """Count events and read the core's load when asked."""

    def __init__(self, core: ProxyCore, registry: CollectorRegistry) -> None:
        self._requests = Counter("sipuri_sip_requests", "New requests", ["side", "method"], registry=registry)
        self._responses = Counter("sipuri_sip_responses", "Responses to callers", ["method", "status"], registry=registry)
        self._refusals = Counter("sipuri_sip_refusals", "Refused INVITEs", ["reason"], registry=registry)
        gauges = {
            "sipuri_sip_calls": ("Calls up or on their way", lambda: core.load.calls),
            "sipuri_sip_transactions": ("Transactions of both sides", lambda: core.load.transactions),
            "sipuri_sip_exchanges": ("Requests let through whose transaction lives", lambda: core.load.exchanges),
            "sipuri_sip_lookups": ("INVITEs that wait for the directory", lambda: core.load.lookups),
            "sipuri_sip_relay_waits": ("Messages that wait for a relay", lambda: core.load.relay_waits),
            "sipuri_sip_malformed": ("Messages that could not be parsed", lambda: core.drops.malformed),
            "sipuri_sip_silenced": ("Requests of sources over their limit", lambda: core.drops.silenced),
            "sipuri_sip_strangers_inside": ("Datagrams inside from no node of ours", lambda: core.drops.strangers_inside),
            "sipuri_sip_lost_acks": ("ACKs without a good token", lambda: core.drops.lost_acks),
        }
        for name, (text, read) in gauges.items():
            Gauge(name, text, registry=registry).set_function(read)

    def count(self, event: RequestSeen | ResponseSent) -> None:
        """Count a request or a response."""
        if isinstance(event, RequestSeen):
            self._requests.labels(event.side.value, event.method).inc()
        else:
            self._responses.labels(event.method, str(event.status)).inc()

    def refused(self, event: CallRefused) -> None:
        """Count a refusal."""
        self._refusals.labels(event.reason.value).inc()
