"""Thousands of calls through one proxy core, over a network that loses, duplicates and reorders datagrams."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from random import Random

from daemonkit.address import Address
from sipproxy.core.events import ProxyEvent, RelayWanted, ReportMade
from sipproxy.transactions.tables import TIMEOUT
from tests.support.sip import Network, Node
from tests.unit.proxy.harness import CONFIG, INSIDE, TCP, UDP, ProxyHarness
from tests.unit.proxy.simulated_ends import GIVES_UP_SECONDS, Phone, Plan, Robot, Talk, call_id_of, outcome_of
from voiceapps.rules.reports import CallEnded, LadderMessage

NODES: tuple[Address, ...] = tuple((f"10.0.1.{number}", 6161) for number in range(1, 9))
PHONES: tuple[Address, ...] = tuple((f"198.51.100.{number}", 5080) for number in range(1, 7))
BEHIND_NAT = 2  # of these
CALLS_PER_SECOND = 2.0
LOST, DOUBLED, SLOWEST = 0.2, 0.05, 0.3
RELAY_SILENCE = 0.005
_TO_TAG = re.compile(rb"\r\nTo:[^\r]*;tag=([^\r;]+)")
_BRANCH = re.compile(rb";branch=([^;\r]+)")
_FOR_INVITE = re.compile(rb"\r\nCSeq: \d+ INVITE\r")

WEIGHTS = {
    Plan.CALLER_HANGS_UP: 18,
    Plan.CALLEE_HANGS_UP: 14,
    Plan.BOTH_HANG_UP: 4,
    Plan.WRONG_PASSWORD: 6,
    Plan.CANCELLED_AT_ONCE: 6,
    Plan.CANCELLED_RINGING: 8,
    Plan.BUSY: 6,
    Plan.REDIRECTED: 4,
    Plan.SILENT_NODE: 6,
    Plan.FULL_NODE: 4,
    Plan.EARLY_BYE: 6,
    Plan.CALLER_CHANGES: 6,
    Plan.CALLEE_CHANGES: 5,
    Plan.LATE_OFFER: 5,
    Plan.NEVER_ANSWERED: 1,
    Plan.NEVER_RINGS: 1,
    Plan.CALLER_VANISHES: 1,
    Plan.VANISHES_RINGING: 1,
}


class SwiftNetwork(Network):
    """A network of many nodes: only those that received something or have a timer due are asked."""

    def __init__(self, fate: Callable[[], list[float]]) -> None:
        super().__init__(fate)
        self._due: dict[Node, float] = {}

    def run(self, until: float) -> None:
        for node in self.nodes:
            self._settle(node)
        while (following := min(*self._due.values(), self._flying[0][0] if self._flying else inf)) <= until:
            self.now = max(self.now, following)
            if self._flying and self._flying[0][0] <= self.now:
                _, _, data, source, target = heapq.heappop(self._flying)
                if target in self.places:
                    self.places[target].receive(data, source, target, self.now)
                    self._settle(self.places[target])
            for node in [node for node, when in self._due.items() if when <= self.now]:
                node.ring(self.now)
                self._settle(node)
        self.now = until

    def _settle(self, node: Node) -> None:
        for source, data, target in node.take():
            for delay in self.fate():
                heapq.heappush(self._flying, (self.now + delay, next(self._serial), data, source, target))
        when = node.timer()
        self._due[node] = inf if when is None else when


@dataclass(slots=True)
class Wire:
    """What passed the proxy's sockets, by the robot's tag: every 2xx from inside has to reach a caller or be hung up."""

    answers: set[bytes] = field(default_factory=set)
    """Of 2xx to INVITEs that came from inside."""
    passed: set[bytes] = field(default_factory=set)
    """Of 2xx to INVITEs that went outside."""
    acknowledged: set[bytes] = field(default_factory=set)
    """Of ACKs that went inside."""
    hung_up: set[bytes] = field(default_factory=set)
    """Of BYEs that went inside."""
    invites: set[bytes] = field(default_factory=set)
    """Branches of INVITEs that came from outside."""
    acks: set[bytes] = field(default_factory=set)
    """Call-IDs of ACKs that came from outside, of a 2xx."""
    unacknowledged_byes: set[bytes] = field(default_factory=set)
    """Call-IDs of BYEs that came from outside before such an ACK."""
    rang: set[bytes] = field(default_factory=set)
    """Robots' tags of provisional responses that came from inside."""
    tries: dict[bytes, dict[Address, float]] = field(default_factory=dict)
    """When an INVITE went to a robot first, by Call-ID."""


class SimulatedHarness(ProxyHarness):
    """The harness with a delayed directory and relay, a relay that knows its sessions, and a record of what passes the sockets."""

    def __init__(self, dice: Random, fate: Callable[[], list[float]]) -> None:
        super().__init__(replace(CONFIG, callflow_targets=NODES))
        self.network: SwiftNetwork = SwiftNetwork(fate)
        self.network.add(self, *self.listeners)
        self.dice = dice
        self.answer_lookups = False
        self.hold_relay = True
        self.answers_at = inf
        self.wire = Wire()
        self.silences = 0
        self.most_calls = 0

    def forget(self) -> None:
        """Forget what was recorded of calls that have ended."""
        for told in (self.commands, self.refusals, self.admitted, self.ended):
            told.clear()
        self.wire = Wire()

    @property
    def ended_by_call_id(self) -> dict[str, list[CallEnded]]:
        """Return the records of ended calls by the caller's Call-ID."""
        found: dict[str, list[CallEnded]] = {}
        for record in self.ended:
            found.setdefault(record.call.sip_call_id, []).append(record)
        return found

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None:
        self._note_arrival(data, local)
        super().receive(data, source, local, now)
        self.most_calls = max(self.most_calls, self.core.load.calls)

    def take(self) -> list[tuple[Address, bytes, Address]]:
        taken = super().take()
        for local, data, target in taken:
            self._note_departure(data, local, target)
        return taken

    def timer(self) -> float | None:
        due = super().timer()
        return min(inf if due is None else due, self.answers_at)

    def ring(self, now: float) -> None:
        if self.answers_at <= now:
            self.answers_at = inf
            while self.wanted:
                self.answer_lookup(now)
            self.release_relay(now)
        super().ring(now)

    def on_event(self, event: ProxyEvent, now: float) -> None:
        if isinstance(event, ReportMade) and isinstance(event.record, LadderMessage):
            return
        super().on_event(event, now)
        if (self.wanted or self.held) and self.answers_at == inf:
            self.answers_at = now + self.dice.uniform(0, 0.05)

    def on_relay(self, event: RelayWanted, now: float) -> None:
        """Do as the harness's relay does, but refuse an answer without an offer, as after its session's end."""
        command, call_id = event.command["command"], event.command["call-id"]
        if command == "answer" and str(call_id).encode() not in self.sessions:
            self.core.relay_answered(event.key, {b"result": b"error", b"error-reason": b"Unknown call-id"}, now)
            return
        super().on_relay(event, now)

    def release_relay(self, now: float) -> None:
        """Deliver the relay's answers; some of them are lost."""
        answers, self.held = self.held, []
        for key, reply in answers:
            silent = self.dice.random() < RELAY_SILENCE
            self.silences += silent
            self.core.relay_answered(key, None if silent else reply, now)
        self.drain(now)

    def _note_arrival(self, data: bytes, local: Address) -> None:
        if local == INSIDE and _is_answer(data):
            self.wire.answers.add(_tag(data))
        elif local == INSIDE and data.startswith(b"SIP/2.0 1"):
            self.wire.rang.add(_tag(data))
        elif local != INSIDE and data.startswith(b"INVITE"):
            self.wire.invites.add(_branch(data))
        elif local != INSIDE and data.startswith(b"ACK") and _branch(data) not in self.wire.invites:
            # With the branch of its INVITE it would be the ACK of a failure.
            self.wire.acks.add(call_id_of(data))
        elif local != INSIDE and data.startswith(b"BYE") and call_id_of(data) not in self.wire.acks:
            self.wire.unacknowledged_byes.add(call_id_of(data))

    def _note_departure(self, data: bytes, local: Address, target: Address) -> None:
        if local != INSIDE and _is_answer(data):
            self.wire.passed.add(_tag(data))
        elif local == INSIDE and data.startswith(b"INVITE") and not _tag(data):
            self.wire.tries.setdefault(call_id_of(data), {}).setdefault(target, self.now)
        elif local == INSIDE and data.startswith(b"ACK"):
            self.wire.acknowledged.add(_tag(data))
        elif local == INSIDE and data.startswith(b"BYE"):
            self.wire.hung_up.add(_tag(data))


def _is_answer(data: bytes) -> bool:
    return data.startswith(b"SIP/2.0 2") and _FOR_INVITE.search(data) is not None


def _tag(data: bytes) -> bytes:
    found = _TO_TAG.search(data)
    return found[1] if found else b""


def _branch(data: bytes) -> bytes:
    found = _BRANCH.search(data)
    return found[1] if found else b""


def lossy(dice: Random) -> list[float]:
    """Return the delays of a datagram's copies: some datagrams are lost, some come twice, and they overtake each other."""
    if dice.random() < LOST:
        return []
    copies = 2 if dice.random() < DOUBLED else 1
    return [dice.uniform(0.001, SLOWEST) for _ in range(copies)]


class Simulation:
    """Run batches of calls through one core, from phones to robots."""

    def __init__(self, seed: int, *, transport: str = "UDP", weights: Mapping[Plan, int] = WEIGHTS) -> None:
        self.seed = seed
        self.dice = Random(seed)
        streams = transport == "TCP"
        self.harness = SimulatedHarness(self.dice, (lambda: [0.01]) if streams else partial(lossy, self.dice))
        self.weights = weights
        self.phones = [self._make_phone(number, transport) for number in range(len(PHONES))]
        first: dict[str, Address] = {}
        self.robots = [Robot(f"robot{number}-", local, self.dice, first) for number, local in enumerate(NODES)]
        self.first = first
        for end in (*self.phones, *self.robots):
            self.harness.network.add(end, end.local)
        if streams:
            self.harness.connected.update((TCP, local) for local in PHONES)
        self.placed = 0

    def _make_phone(self, number: int, transport: str) -> Phone:
        via = ("192.168.1.20", 5060 + number) if number < BEHIND_NAT else None
        proxy = TCP if transport == "TCP" else UDP
        return Phone(f"phone{number}-", PHONES[number], proxy.address, self.dice, via=via, transport=transport)

    def forget(self) -> None:
        """Forget a batch of calls."""
        self.harness.forget()
        self.first.clear()
        for end in (*self.phones, *self.robots):
            end.forget()

    def run_batch(self, calls: int) -> None:
        """Place calls and let time pass until every timer of theirs has fired."""
        when = self.harness.now
        plans = self.dice.choices(list(self.weights), list(self.weights.values()), k=calls)
        for plan in plans:
            when += self.dice.expovariate(CALLS_PER_SECOND)
            self.placed += 1
            self.dice.choice(self.phones).plan(f"call-{self.placed}", plan, when)
        self.harness.run(when - self.harness.now + GIVES_UP_SECONDS + 4 * TIMEOUT)

    @property
    def talks(self) -> list[Talk]:
        """Return the calls as the phones saw them."""
        return [talk for phone in self.phones for talk in phone.talks.values()]

    @property
    def answered(self) -> list[Talk]:
        """Return the calls as the robots saw them."""
        return [talk for robot in self.robots for talk in robot.talks.values()]

    def outcomes(self) -> Counter[tuple[Plan, str]]:
        """Count how the phones' calls ended."""
        return Counter((talk.plan, outcome_of(talk)) for talk in self.talks)
