"""Whatever arrives at the ng port and at media ports, the labels of the relay's metrics come from closed sets."""

from __future__ import annotations

import random

from prometheus_client import CollectorRegistry

from mediarelay.aio.metrics import RelayMetrics
from mediarelay.aio.sockets import MediaSockets
from mediarelay.core.addresses import Side
from mediarelay.core.events import EndCause
from mediarelay.core.flow import Drop
from mediarelay.core.learning import Rank
from mediarelay.ng.bencode import encode
from tests.fuzz.mutate import mutate
from tests.unit.relay.harness import CALLER, RelayHarness, rtp, sdp

INPUTS = 400
COMMANDS = ("answer", "delete", "list", "offer", "ping", "query", "statistics")
ALLOWED: dict[str, set[str]] = {
    "side": {side.value for side in Side},
    "state": {"free", "in_use", "quarantined"},
    "rank": {"none", *(rank.name.lower() for rank in Rank)},
    "reason": set(Drop),
    "cause": set(EndCause),
    "command": {*COMMANDS, "other"},
    "result": {"ok", "error"},
}


def test_metric_labels_come_from_closed_sets() -> None:
    dice = random.Random(6)
    harness = RelayHarness()
    registry = CollectorRegistry()
    RelayMetrics(harness.relay, MediaSockets(harness.relay, lambda: harness.now, harness.pump, dscp=46), registry)
    fields = {"call-id": "c-1", "from-tag": "a", "to-tag": "b", "sdp": sdp(CALLER, 4000), "direction": ["external", "internal"]}
    commands = [encode({"command": name, **fields}) for name in (*COMMANDS, "evil")]
    for number in range(INPUTS):
        harness.raw(b"%d " % number + (mutate(commands, dice) if number % 2 else dice.choice(commands)))
        for local in list(harness.relay.table.flows):
            packet = mutate([rtp(number)], dice)
            harness.relay.receive_media(local, packet, len(packet), (CALLER, 4000), harness.now)
        harness.advance(0.1)
    found: dict[str, set[str]] = {}
    for sample in (sample for family in registry.collect() for sample in family.samples):
        for name, value in sample.labels.items():
            found.setdefault(name, set()).add(value)
    assert found.keys() == ALLOWED.keys()
    assert {name: values - ALLOWED[name] for name, values in found.items()} == dict.fromkeys(found, set())
    assert found["command"] == ALLOWED["command"]
