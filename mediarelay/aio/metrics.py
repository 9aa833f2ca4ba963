"""A relay's Prometheus metrics, read from the core when they are scraped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mediarelay.aio.sockets import MediaSockets
from mediarelay.core.addresses import Side
from mediarelay.core.events import SessionEnded
from mediarelay.core.learning import Rank
from mediarelay.relay import MediaRelay
from voiceapps.rules.media_figures import MediaFigures


class RelayMetrics(Collector):
    """The collector of one relay; it registers itself."""

    def __init__(self, relay: MediaRelay, sockets: MediaSockets, registry: CollectorRegistry) -> None:
        self._relay = relay
        self._sockets = sockets
        self._ended_packets = {side.value: 0 for side in Side}
        self._ended_octets = {side.value: 0 for side in Side}
        registry.register(self)

    def count_ended(self, event: SessionEnded) -> None:
        """Add the totals of a session that has ended."""
        _add(event.figures, self._ended_packets, self._ended_octets)

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        yield GaugeMetricFamily("sipuri_relay_sessions", "Sessions relayed now", len(self._relay.table))
        yield GaugeMetricFamily("sipuri_relay_sockets", "Media sockets open", len(self._sockets))
        yield GaugeMetricFamily("sipuri_relay_connected_sockets", "Sources that have a socket of their own", self._sockets.connected)
        yield GaugeMetricFamily("sipuri_relay_kernel_flows", "Directions that the kernel forwards", len(self._relay.offload))
        yield GaugeMetricFamily("sipuri_relay_direct_flows", "Those that go from device to device", self._relay.offload.direct_flows)
        yield GaugeMetricFamily("sipuri_relay_kernel_on", "1 where the kernel takes flows", float(self._relay.offload.on))
        yield CounterMetricFamily("sipuri_relay_kernel_lost_streams", "Streams that the kernel lost", self._relay.offload.lost_streams)
        yield _counter("sipuri_relay_ignored", "Keys and flags of commands that change nothing", "name", self._relay.ignored.items())
        yield self._ports()
        yield self._locked()
        yield from self._traffic()
        yield _counter("sipuri_relay_dropped_packets", "Datagrams not relayed", "reason", self._relay.table.drops.items())
        yield _counter("sipuri_relay_sessions_ended", "Sessions ended", "cause", self._relay.table.ended.items())
        yield self._commands()
        yield CounterMetricFamily("sipuri_relay_malformed_commands", "Datagrams without a cookie", self._relay.malformed_commands)
        yield CounterMetricFamily("sipuri_relay_bind_failures", "Pairs that did not bind", self._relay.table.allocator.failures)
        yield CounterMetricFamily("sipuri_relay_socket_errors", "Reads and sends that failed", self._sockets.errors)

    def _commands(self) -> Metric:
        family = CounterMetricFamily("sipuri_relay_commands", "ng commands answered", labels=("command", "result"))
        for labels, count in self._relay.commands.items():
            family.add_metric(labels, count)
        return family

    def _locked(self) -> Metric:
        family = GaugeMetricFamily("sipuri_relay_locked_streams", "Streams by how their source was learned", labels=("rank",))
        ranks = [leg.learner.rank for session in self._relay.table for stream in session.streams.values() for leg in stream.legs]
        for rank in Rank:
            family.add_metric((rank.name.lower(),), ranks.count(rank))
        family.add_metric(("none",), ranks.count(None))
        return family

    def _ports(self) -> Metric:
        family = GaugeMetricFamily("sipuri_relay_port_pairs", "Pairs of media ports", labels=("side", "state"))
        for side, pool in self._relay.table.allocator.pools.items():
            family.add_metric((side.value, "free"), pool.free)
            family.add_metric((side.value, "in_use"), pool.in_use)
            family.add_metric((side.value, "quarantined"), pool.quarantined)
        return family

    def _traffic(self) -> Iterator[Metric]:
        packets, octets = dict(self._ended_packets), dict(self._ended_octets)
        for figures in self._relay.figures(session.call_id for session in self._relay.table).values():
            _add(figures, packets, octets)
        yield _counter("sipuri_relay_packets", "Media packets accepted", "side", packets.items())
        yield _counter("sipuri_relay_octets", "Media octets accepted", "side", octets.items())


def _add(figures: Iterable[MediaFigures], packets: dict[str, int], octets: dict[str, int]) -> None:
    for leg in figures:
        packets[leg.side] += leg.packets_in
        octets[leg.side] += leg.bytes_in


def _counter(name: str, text: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in values:
        family.add_metric((value,), count)
    return family
