"""The proxy's figures for Prometheus; every label comes from a closed set."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sipproxy.aio.listeners import Listeners
from sipproxy.core.events import InviteRefused, RequestSeen, ResponseSent
from sipproxy.core.proxy import ProxyCore
from sipproxy.sip.status import REASONS
from sipproxy.transactions.listener import Transport

STREAMS = (Transport.TCP, Transport.TLS)


class ProxyMetrics(Collector):
    """Counters of the core's events, and the core's own load and totals, which are read at each scrape. Registers itself."""

    def __init__(self, core: ProxyCore, listeners: Listeners, registry: CollectorRegistry) -> None:
        self._core = core
        self._listeners = listeners
        self._requests = Counter("sipuri_sip_requests", "New requests", ["side", "method"], registry=registry)
        self._responses = Counter("sipuri_sip_responses", "Responses to callers", ["method", "status"], registry=registry)
        self._refusals = Counter("sipuri_sip_refusals", "Refused INVITEs", ["reason"], registry=registry)
        self._offers = Counter("sipuri_sip_offers_standing", "Refused offers that the relay could not be told of", registry=registry)
        self._failures = Counter("sipuri_sip_failures", "Inputs that the core failed on", ["input"], registry=registry)
        # Used several times a call: the child of each set of labels is looked up once.
        self._request_of = cache(lambda side, method: self._requests.labels(side.value, method))
        self._response_of = cache(lambda method, status: self._responses.labels(method, status_label(status)))
        registry.register(self)

    def failed(self, what: str) -> None:
        """Count an input that the core failed on."""
        self._failures.labels(what).inc()

    def count(self, event: RequestSeen | ResponseSent) -> None:
        """Count a request or a response."""
        if isinstance(event, RequestSeen):
            self._request_of(event.side, event.method).inc()
        else:
            self._response_of(event.method, event.status).inc()

    def offer_stands(self) -> None:
        """Count a refused offer that could not be taken back at the relay."""
        self._offers.inc()

    def refused(self, event: InviteRefused) -> None:
        """Count a refusal."""
        self._refusals.labels(event.reason.value).inc()

    def collect(self) -> Iterable[Metric]:
        """Return the core's load and totals at this moment."""
        yield from self._load()
        yield from self._totals()
        yield from self._connections()

    def _load(self) -> Iterable[Metric]:
        load = self._core.load
        yield GaugeMetricFamily("sipuri_sip_calls", "Calls up or on their way", load.calls)
        yield GaugeMetricFamily("sipuri_sip_transactions", "Transactions of both sides", load.transactions)
        yield GaugeMetricFamily("sipuri_sip_exchanges", "Requests let through whose transaction lives", load.contexts)
        yield GaugeMetricFamily("sipuri_sip_lookups", "INVITEs that wait for the directory", load.lookups)
        yield GaugeMetricFamily("sipuri_sip_relay_waits", "Messages that wait for a relay", load.relay_waits)
        yield GaugeMetricFamily("sipuri_sip_bans", "Sources that are banned", self._core.count_bans(time.monotonic()))

    def _totals(self) -> Iterable[Metric]:
        drops = self._core.drops
        yield CounterMetricFamily("sipuri_sip_malformed", "Messages that could not be parsed", drops.malformed)
        yield CounterMetricFamily("sipuri_sip_silenced", "Requests of sources over their limit", drops.silenced)
        yield CounterMetricFamily("sipuri_sip_crowded", "Datagrams that found too many waiting before them", drops.crowded)
        yield CounterMetricFamily("sipuri_sip_banned_drops", "Messages of banned sources that the proxy dropped", drops.banned)
        yield CounterMetricFamily("sipuri_sip_foreign_drops", "Requests for foreign hosts, dropped without an answer", drops.foreign)
        yield CounterMetricFamily("sipuri_sip_strangers_inside", "Datagrams inside from no node of ours", drops.strangers_inside)
        yield CounterMetricFamily("sipuri_sip_lost_acks", "ACKs without a good token", drops.lost_acks)
        yield CounterMetricFamily("sipuri_sip_early", "Requests of dialogs before the call-flow nodes were known", drops.early)
        handed_over = self._listeners.handed_over
        yield CounterMetricFamily("sipuri_sip_handed_over", "Responses that went on to the worker that waits for them", handed_over)

    def _connections(self) -> Iterable[Metric]:
        listeners = self._listeners
        opened = GaugeMetricFamily("sipuri_sip_connections", "Open connections", labels=["transport"])
        refused = CounterMetricFamily("sipuri_sip_connections_refused", "Connections that found no room", labels=["transport"])
        ended = CounterMetricFamily("sipuri_sip_connections_ended", "Connections ended: silent or unreadable", labels=["transport"])
        displaced = CounterMetricFamily("sipuri_sip_connections_displaced", "Strangers that made room for others", labels=["transport"])
        for transport in STREAMS:
            label = [transport.value]
            opened.add_metric(label, listeners.connections(transport))
            refused.add_metric(label, listeners.counted(transport, lambda held: held.refused))
            ended.add_metric(label, listeners.counted(transport, lambda held: held.overdue + held.unreadable + held.unread))
            displaced.add_metric(label, listeners.counted(transport, lambda held: held.displaced))
        return opened, refused, ended, displaced


def status_label(status: int) -> str:
    """Return a status for a label: by itself where an RFC names it, else by its class, as a target may answer with any number."""
    return str(status) if status in REASONS else f"{status // 100}xx"
