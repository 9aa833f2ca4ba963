"""The proxy's figures for Prometheus; every label comes from a closed set."""

from __future__ import annotations

import time
from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from sipproxy.aio.listeners import Listeners
from sipproxy.core.events import InviteRefused, RequestSeen, ResponseSent
from sipproxy.core.proxy import ProxyCore
from sipproxy.sip.status import REASONS
from sipproxy.transactions.listener import Transport


class ProxyMetrics:
    """Count events and read the core's load when asked."""

    def __init__(self, core: ProxyCore, listeners: Listeners, registry: CollectorRegistry) -> None:
        self._requests = Counter("sipuri_sip_requests", "New requests", ["side", "method"], registry=registry)
        self._responses = Counter("sipuri_sip_responses", "Responses to callers", ["method", "status"], registry=registry)
        self._refusals = Counter("sipuri_sip_refusals", "Refused INVITEs", ["reason"], registry=registry)
        self._failures = Counter("sipuri_sip_failures", "Inputs that the core failed on", ["input"], registry=registry)
        # Several times a call: found once, a counter is kept.
        self._request_of = cache(lambda side, method: self._requests.labels(side.value, method))
        self._response_of = cache(lambda method, status: self._responses.labels(method, status_label(status)))
        gauges = {
            "sipuri_sip_calls": ("Calls up or on their way", lambda: core.load.calls),
            "sipuri_sip_transactions": ("Transactions of both sides", lambda: core.load.transactions),
            "sipuri_sip_exchanges": ("Requests let through whose transaction lives", lambda: core.load.contexts),
            "sipuri_sip_lookups": ("INVITEs that wait for the directory", lambda: core.load.lookups),
            "sipuri_sip_relay_waits": ("Messages that wait for a relay", lambda: core.load.relay_waits),
            "sipuri_sip_malformed": ("Messages that could not be parsed", lambda: core.drops.malformed),
            "sipuri_sip_silenced": ("Requests of sources over their limit", lambda: core.drops.silenced),
            "sipuri_sip_crowded": ("Datagrams that found too many waiting before them", lambda: core.drops.crowded),
            "sipuri_sip_bans": ("CoreHooks that are kept out", lambda: core.count_bans(time.monotonic())),
            "sipuri_sip_banned_drops": ("Messages of banned sources that the proxy dropped", lambda: core.drops.banned),
            "sipuri_sip_foreign_drops": ("Requests for hosts that are not ours, dropped without an answer", lambda: core.drops.foreign),
            "sipuri_sip_strangers_inside": ("Datagrams inside from no node of ours", lambda: core.drops.strangers_inside),
            "sipuri_sip_handed_over": ("Responses that went on to the worker that waits for them", lambda: listeners.handed_over),
            "sipuri_sip_lost_acks": ("ACKs without a good token", lambda: core.drops.lost_acks),
        }
        for name, (text, read) in gauges.items():
            Gauge(name, text, registry=registry).set_function(read)
        self._read_connections(listeners, registry)

    def failed(self, what: str) -> None:
        """Count an input that the core failed on."""
        self._failures.labels(what).inc()

    def count(self, event: RequestSeen | ResponseSent) -> None:
        """Count a request or a response."""
        if isinstance(event, RequestSeen):
            self._request_of(event.side, event.method).inc()
        else:
            self._response_of(event.method, event.status).inc()

    def _read_connections(self, listeners: Listeners, registry: CollectorRegistry) -> None:
        connections = Gauge("sipuri_sip_connections", "Open connections", ["transport"], registry=registry)
        refused = Gauge("sipuri_sip_connections_refused", "Connections over a cap", ["transport"], registry=registry)
        ended = Gauge("sipuri_sip_connections_ended", "Connections ended: silent or unreadable", ["transport"], registry=registry)
        for transport in (Transport.TCP, Transport.TLS):
            connections.labels(transport.value).set_function(partial(listeners.connections, transport))
            refused.labels(transport.value).set_function(partial(listeners.counted, transport, lambda held: held.refused))
            ended.labels(transport.value).set_function(
                partial(listeners.counted, transport, lambda held: held.overdue + held.unreadable + held.unread)
            )

    def refused(self, event: InviteRefused) -> None:
        """Count a refusal."""
        self._refusals.labels(event.reason.value).inc()


def status_label(status: int) -> str:
    """Return a status for a label: by itself where an RFC names it, else by its class, as a target may answer with any number."""
    return str(status) if status in REASONS else f"{status // 100}xx"
