"""The proxy's metrics: whatever strangers send, the labels come from closed sets, so a scrape cannot grow."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from sipproxy.aio.listeners import Listeners
from sipproxy.aio.metrics import ProxyMetrics, status_label
from sipproxy.aio.streams import StreamCounters
from sipproxy.core.events import METHODS, InviteRefused, ProxyEvent, RequestSeen, ResponseSent
from sipproxy.sip.status import REASONS
from sipproxy.transactions.listener import Side, Transport
from tests.fuzz.calls import seeds_of_a_call
from tests.fuzz.mutate import mutate
from tests.unit.proxy.harness import CALLER, INSIDE, NODE_A, OUTSIDE, URI, ProxyHarness
from voiceapps.rules.admission import Reason

INPUTS = 400
METHOD_NAMES = {*METHODS, "OTHER"}
ALLOWED = {
    "side": {side.value for side in Side},
    "method": METHOD_NAMES,
    "status": {*map(str, REASONS), "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"},
    "reason": {reason.value for reason in Reason},
    "transport": {transport.value for transport in Transport},
    "input": {"message", "connection", "timer", "directory", "relay", "bans", "claim"},
}


class Streams:
    """Listeners without sockets."""

    handed_over = 0

    def connections(self, transport: Transport) -> int:
        return 0

    def counted(self, transport: Transport, read: Callable[[StreamCounters], int]) -> int:
        return read(StreamCounters())


class Counted(ProxyHarness):
    """A harness whose events are counted as the shell counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = CollectorRegistry()
        self.metrics = ProxyMetrics(self.core, cast(Listeners, Streams()), self.registry)

    def on_event(self, event: ProxyEvent, now: float) -> None:
        if isinstance(event, RequestSeen | ResponseSent):
            self.metrics.count(event)
        elif isinstance(event, InviteRefused):
            self.metrics.refused(event)
        super().on_event(event, now)

    def labels(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                for name, value in sample.labels.items():
                    found.setdefault(name, set()).add(value)
        return found


def test_labels_come_from_closed_sets() -> None:
    dice = random.Random(5)
    harness = Counted()
    seeds = [*seeds_of_a_call(), b"SPAM sip:a@sip.example SIP/2.0\r\nCSeq: 1 SPAM\r\n\r\n"]
    for number in range(INPUTS):
        data = mutate(seeds, dice).replace(b"INVITE", b"SPAM%d" % number if number % 3 == 0 else b"INVITE")
        inside = dice.random() < 0.3
        harness.receive(data, NODE_A if inside else CALLER, INSIDE if inside else OUTSIDE, number * 0.3)
        harness.take()
        harness.ring(number * 0.3)
    found = harness.labels()
    assert found.keys() <= ALLOWED.keys()
    assert {name: values - ALLOWED[name] for name, values in found.items()} == dict.fromkeys(found, set())
    assert {"OTHER", "INVITE"} <= found["method"]
    assert found["status"]


@pytest.mark.parametrize(("status", "label"), [(486, "486"), (499, "4xx"), (599, "5xx"), (699, "6xx")])
def test_an_undefined_status_counts_with_its_class(status: int, label: str) -> None:
    harness = Counted()
    service, caller = harness.service(), harness.caller()
    service.status = status
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses[-1] == status
    labels = {"method": "INVITE", "status": label}
    assert harness.registry.get_sample_value("sipuri_sip_responses_total", labels) == 1


def test_what_only_grows_is_a_counter_and_what_is_held_is_a_gauge() -> None:
    harness = Counted()
    harness.receive(b"noise", CALLER, OUTSIDE, 0.0)
    harness.receive(b"OPTIONS", CALLER, INSIDE, 0.0)
    read = harness.registry.get_sample_value
    assert (read("sipuri_sip_malformed_total"), read("sipuri_sip_strangers_inside_total"), read("sipuri_sip_silenced_total")) == (1, 1, 0)
    assert read("sipuri_sip_connections_refused_total", {"transport": "TLS"}) == 0
    assert (read("sipuri_sip_calls"), read("sipuri_sip_exchanges"), read("sipuri_sip_connections", {"transport": "TCP"})) == (0, 0, 0)


def test_every_metric_bears_our_name() -> None:
    assert [family.name for family in Counted().registry.collect() if not family.name.startswith("sipuri_")] == []


def test_there_are_few_labels_for_statuses() -> None:
    assert {status_label(status) for status in range(100, 700)} == ALLOWED["status"]
