"""The call flow's metrics; every label comes from a closed set."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from callflow.audio.digit_method import DigitMethod
from sipproxy.headers.call_headers import SealFault
from voiceapps.rules.endings import EndReason

_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 25.0)


class CallflowMetrics:
    """The call flow's counters, gauges and histograms."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._answers = Counter("sipuri_callflow_calls_answered", "Calls whose ACK came", registry=registry)
        self._digits = Counter(
            "sipuri_callflow_digits_ignored", "Digits that came by another method than the caller's first", ["method"], registry=registry
        )
        self._ends = Counter("sipuri_callflow_calls_ended", "Calls by how they ended", ["class", "reason"], registry=registry)
        self._dropped_speech = Counter(
            "sipuri_callflow_recognition_dropped_seconds", "Audio that the recogniser was too slow for", registry=registry
        )
        self._refused_listenings = Counter(
            "sipuri_callflow_recognition_refused",
            "Listenings that did not begin, or broke off: none, busy, language, failed",
            ["reason"],
            registry=registry,
        )
        self._refused_packets = Counter(
            "sipuri_callflow_srtp_refused", "Encrypted packets that were forged, damaged or repeated", registry=registry
        )
        self._streams = Counter(
            "sipuri_callflow_stream_losses",
            "What of streams was dropped or held up: slow, full, flood, fault",
            ["reason"],
            registry=registry,
        )
        self._webhooks = Histogram(
            "sipuri_callflow_webhook_seconds",
            "Time until a webhook that a call waits for has answered",
            ["event", "result"],
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )

    def call_answered(self) -> None:
        """Count an answered call."""
        self._answers.inc()

    def call_ended(self, reason: EndReason) -> None:
        """Count a call's end."""
        self._ends.labels(reason.end_class.value, reason.value).inc()

    def digit_ignored(self, method: DigitMethod) -> None:
        """Count a digit that came by another method than the caller's first."""
        self._digits.labels(method.value).inc()

    def count_refused(self, counts: Mapping[SealFault, int]) -> None:
        """Export how many INVITEs were refused because no proxy of ours had sealed them."""
        self._registry.register(_Refused(counts))

    def listening_refused(self, reason: str) -> None:
        """Count a listening that did not begin, or broke off: there is no recogniser, it is busy, does not know the language, or failed."""
        self._refused_listenings.labels(reason).inc()

    def packets_refused(self, count: int) -> None:
        """Count the encrypted packets of a call that were forged, damaged or repeated."""
        self._refused_packets.inc(count)

    def observe(self, name: str, text: str, read: Callable[[], int]) -> None:
        """Export a number that another object keeps."""
        Gauge(f"sipuri_callflow_{name}", text, registry=self._registry).set_function(read)

    def speech_dropped(self, seconds: float) -> None:
        """Count audio that the recogniser was too slow for."""
        self._dropped_speech.inc(seconds)

    def stream_lost(self, reason: str) -> None:
        """Count a frame that a slow far end did not get, audio without room, a flood that was held up, or a message that makes no sense."""
        self._streams.labels(reason).inc()

    def webhook_answered(self, event_type: str, *, ok: bool, latency_ms: int) -> None:
        """Count a webhook and observe its latency."""
        self._webhooks.labels(event_type, "ok" if ok else "failed").observe(latency_ms / 1000)


class _Refused(Collector):
    def __init__(self, counts: Mapping[SealFault, int]) -> None:
        self._counts = counts

    def collect(self) -> list[Metric]:
        """Return the counts by what was wrong."""
        family = CounterMetricFamily("sipuri_callflow_refused_invites", "INVITEs that no proxy of ours has sealed", labels=["reason"])
        for fault, count in self._counts.items():
            family.add_metric([fault.value], count)
        return [family]
