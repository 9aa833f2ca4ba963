"""Thousands of calls over a bad network: every call ends as the RFC says, all parties agree how, and nothing is left."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MemberDescriptorType

import pytest

from sipproxy.admission.limits import MAX_FAILED_CALLS, MAX_NONCES, MAX_RATED, MAX_SOURCES
from sipproxy.core.limits import FAILOVER_SECONDS, MAX_OVER
from sipproxy.core.message_trace import MAX_COUNTED, MAX_RINGS
from sipproxy.core.proxy import ProxyCore
from tests.unit.proxy.harness import ProxyHarness
from tests.unit.proxy.simulated_ends import Ended, Plan, Talk, outcome_of
from tests.unit.proxy.simulation import NODES, SimulatedHarness, Simulation
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallEnded

CALLS = int(os.environ.get("SIPURI_SIMULATED_CALLS", "500"))
SEED = int(os.environ.get("SIPURI_SIMULATION_SEED", "20260"))
STREAM_CALLS = 200
BATCHES = 5
SLACK_SECONDS = 0.1  # for a relay that answers

# How a caller may see its call end, with the section of RFC 3261.
_HUNG_UP = {"BY_US": "15.1.1"}
_GIVEN_UP = {"487": "9.2, 15.1.2", "BY_US": "9.1: the answer crossed, so ACK and BYE"}
ALLOWED: Mapping[Plan, Mapping[str, str]] = {
    Plan.CALLER_HANGS_UP: _HUNG_UP,
    Plan.CALLEE_HANGS_UP: {"BY_PEER": "15.1.2"},
    Plan.BOTH_HANG_UP: {"BY_US": "15.1.1", "BY_PEER": "15.1.2"},
    Plan.WRONG_PASSWORD: {"401": "21.4.2"},
    Plan.CANCELLED_AT_ONCE: _GIVEN_UP,
    Plan.CANCELLED_RINGING: _GIVEN_UP,
    Plan.BUSY: {"486": "21.4.24"},
    Plan.REDIRECTED: {"480": "21.4.18: where the callee is now is nothing for the outside"},
    Plan.SILENT_NODE: _HUNG_UP,
    Plan.FULL_NODE: _HUNG_UP,
    Plan.EARLY_BYE: _GIVEN_UP,
    Plan.CALLER_CHANGES: _HUNG_UP | {"BY_PEER": "14.2, 13.3.1.4: the ACK of its answer never came"},
    Plan.CALLEE_CHANGES: {"BY_PEER": "15.1.2", "BY_US": "14.2, 13.3.1.4"},
    Plan.LATE_OFFER: _HUNG_UP,
    Plan.NEVER_ANSWERED: {"408": "16.8: timer C"},
    Plan.NEVER_RINGS: {"408": "16.8: timer C"},
    Plan.CALLER_VANISHES: {"VANISHED": "13.3.1.4: the callee ends it"},
    Plan.VANISHES_RINGING: {"VANISHED": "17.2.1: timer H", "486": "21.4.24: it never knew that it rang"},
}
# What the network or the relay may do to any call, and the largest share of all calls that it may happen to.
CHANCE: Mapping[str, tuple[float, str]] = {
    "503": (0.10, "16.7 step 6, 21.5.4: no node answered in time, or the relay was silent"),
    "BY_PEER": (0.02, "13.3.1.4: no ACK reached the callee"),
    "UNANSWERED": (0.01, "17.1.2.2: timer F"),
    "TIMED_OUT": (0.01, "17.1.1.2: timer B, or 9.1 for what was given up"),
}
# What the callee may report where the caller reports this.
CALLEE_SAYS: Mapping[str, set[Ended]] = {
    "BY_US": {Ended.BY_PEER, Ended.BY_US},
    "BY_PEER": {Ended.BY_US, Ended.UNANSWERED, Ended.BY_PEER},
    "UNANSWERED": {Ended.BY_PEER, Ended.BY_US, Ended.UNANSWERED},
    "VANISHED": {Ended.UNANSWERED},
}
# What the proxy's record may say where the caller reports this; a refused call has no record.
RECORD_SAYS: Mapping[str, set[tuple[EndReason, int | None]]] = {
    "486": {(EndReason.TARGET_REFUSED, 486)},
    "480": {(EndReason.TARGET_REFUSED, 480)},
    "408": {(EndReason.TARGET_REFUSED, 408)},
    "487": {(EndReason.CALLER_CANCELLED, 487)},
    "503": {(EndReason.NO_CALLFLOW, 503), (EndReason.NO_MEDIA_RELAY, 503), (EndReason.TARGET_REFUSED, 503)},
    "BY_US": {(EndReason.CALLER_HANGUP, 200)},
    "BY_PEER": {(EndReason.APPLICATION_HANGUP, 200)},
    "UNANSWERED": {(EndReason.CALLER_HANGUP, 200), (EndReason.APPLICATION_HANGUP, 200)},
    "VANISHED": {(EndReason.APPLICATION_HANGUP, 200), (EndReason.TARGET_REFUSED, 486)},
}
CANCELLED = (EndReason.CALLER_CANCELLED, 487)

# What may stay in the core without calls: an entry for each node or listener, and caches with a limit.
STAYS = {
    "_shared.layers": 4,
    "_shared.targets._rests": len(NODES),
    "_broker._agreements._own_relays": 1,
    "_gate._limits._requests._levels": MAX_SOURCES,
    "_gate._limits._failures._levels": MAX_SOURCES,
    "_gate._limits._told": MAX_SOURCES,
    "_gate._limits._failed_calls": MAX_FAILED_CALLS,
    "_gate._bans._points._levels": MAX_SOURCES,
    "_gate._bans._refused._levels": MAX_SOURCES,
    "_gate._bans._called": MAX_SOURCES,
    "_trace._stored": MAX_COUNTED,
    "_trace._rings": MAX_RINGS,
    "_shared.calls._over": MAX_OVER,
    "_guard._nonces._claims": MAX_NONCES,
    "_guard._quotas._applications._levels": MAX_RATED,
    "_guard._quotas._accounts._levels": MAX_RATED,
}
Container = dict[object, object] | list[object] | set[object] | deque[object]


def containers(thing: object, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Container]]:
    """Walk all objects of ours that are reachable from one and yield each container that can grow, with its path."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, dict | list | set | deque):
        yield path, thing
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list | set | deque | tuple | frozenset):
        for item in thing:
            yield from containers(item, f"{path}[]", seen)
    elif type(thing).__module__.startswith("sipproxy."):
        for name in _attributes(thing):
            yield from containers(getattr(thing, name), f"{path}.{name}".lstrip("."), seen)


def _attributes(thing: object) -> Iterator[str]:
    yield from vars(thing) if hasattr(thing, "__dict__") else ()
    for kind in type(thing).__mro__:
        yield from (name for name, held in vars(kind).items() if isinstance(held, MemberDescriptorType) and hasattr(thing, name))


def leftovers(core: ProxyCore) -> list[str]:
    """Return the containers that should be empty and are not."""
    return [f"{path} holds {len(held)}" for path, held in containers(core) if len(held) > STAYS.get(path, 0)]


def misendings(simulation: Simulation) -> list[str]:
    """Return the calls whose end no rule allows."""
    wrong = []
    for talk in simulation.talks:
        outcome = outcome_of(talk)
        if outcome not in ALLOWED[talk.plan] and outcome not in CHANCE:
            wrong.append(f"{_name(talk)} ends by {outcome} ({talk.ended})")
    for talk in simulation.answered:
        if talk.ended is Ended.NOT and talk.status < 300:
            wrong.append(f"{_name(talk)} goes on for ever at {talk.tag}")
        if talk.given_up and talk.tag.encode() in simulation.harness.wire.rang:
            wrong.append(f"{_name(talk)} rang until {talk.tag} tired of it: no CANCEL came")
    return wrong


def disagreements(simulation: Simulation) -> list[str]:
    """Return the calls about whose end caller, callee and proxy disagree."""
    callees = {talk.tag: talk for talk in simulation.answered}
    ended = simulation.harness.ended_by_call_id
    wrong = []
    for talk in simulation.talks:
        outcome = outcome_of(talk)
        callee = callees.get(talk.tag)
        if callee is not None and callee.ended not in CALLEE_SAYS.get(outcome, {callee.ended}):
            wrong.append(f"{_name(talk)}: the caller says {outcome}, the callee {callee.ended}")
        wrong += _record_disagrees(simulation.harness, ended.get(talk.call_id, []), talk, outcome, callee)
    return [*wrong, *_records_without_a_pair(simulation.harness)]


def _record_disagrees(
    harness: SimulatedHarness, records: Sequence[CallEnded], talk: Talk, outcome: str, callee: Talk | None
) -> Iterator[str]:
    if len(records) != (outcome != "401") and outcome != "TIMED_OUT":
        yield f"{_name(talk)}: {outcome} has {len(records)} records"
    for record in records:
        if outcome in RECORD_SAYS and (record.reason, record.sip_status) not in _stories(talk, outcome, callee):
            yield f"{_name(talk)}: the caller says {outcome}, the record {record.reason} {record.sip_status}"
        answered = record.answered_at is not None or talk.call_id.encode() in harness.wire.unacknowledged_byes
        if record.reason is EndReason.CALLER_HANGUP and not answered:
            yield f"{_name(talk)}: hung up on, but never answered"


def _stories(talk: Talk, outcome: str, callee: Talk | None) -> set[tuple[EndReason, int | None]]:
    stories = set(RECORD_SAYS[outcome])
    if talk.given_up:
        stories |= {CANCELLED, (EndReason.CALLER_CANCELLED, talk.status)}
    if talk.hanging_up and callee is not None and callee.hanging_up:
        stories |= RECORD_SAYS["BY_US"] | RECORD_SAYS["BY_PEER"]
    return stories


def _records_without_a_pair(harness: SimulatedHarness) -> Iterator[str]:
    admitted = Counter(record.call.call_id for record in harness.admitted)
    ended = Counter(record.call.call_id for record in harness.ended)
    for call_id in admitted | ended:
        if (admitted[call_id], ended[call_id]) != (1, 1):
            yield f"{call_id} was let in {admitted[call_id]} times and ended {ended[call_id]} times"


def lost_answers(harness: SimulatedHarness) -> list[str]:
    """Return the 2xx from inside that were neither forwarded to the caller nor acknowledged and hung up."""
    wire = harness.wire
    return [f"the answer of {tag!r} was dropped" for tag in wire.answers - wire.passed - (wire.acknowledged & wire.hung_up)]


def slow_failovers(harness: SimulatedHarness) -> list[str]:
    """Return the calls that waited for a silent node longer than they should."""
    found = []
    for call_id, tries in harness.wire.tries.items():
        waits = [later - earlier for earlier, later in pairwise(tries.values())]
        found += [f"{call_id!r} waited {wait:.1f} s for the next node" for wait in waits if wait > FAILOVER_SECONDS + SLACK_SECONDS]
    return found


def _name(talk: Talk) -> str:
    return f"{talk.call_id} ({talk.plan.value})"


def simulate(simulation: Simulation, calls: int) -> Counter[tuple[Plan, str]]:
    """Run calls in batches, judge each batch, and return how many of each plan ended how."""
    outcomes: Counter[tuple[Plan, str]] = Counter()
    for _ in range(BATCHES):
        simulation.run_batch(calls // BATCHES)
        harness = simulation.harness
        wrong = [
            *misendings(simulation),
            *disagreements(simulation),
            *lost_answers(harness),
            *slow_failovers(harness),
            *leftovers(harness.core),
        ]
        assert not wrong, "\n".join([f"seed {simulation.seed}:", *wrong[:20], f"{len(wrong)} in all"])
        assert harness.is_empty(), f"seed {simulation.seed}: {harness.core.load} {harness.sessions}"
        outcomes += simulation.outcomes()
        simulation.forget()
    return outcomes


@pytest.mark.timeout(1_800)
def test_calls_over_a_network_that_loses_doubles_and_reorders() -> None:
    simulation = Simulation(SEED)
    outcomes = simulate(simulation, CALLS)
    assert sum(outcomes.values()) == CALLS // BATCHES * BATCHES
    for outcome, (most, section) in CHANCE.items():
        seen = sum(count for (plan, held), count in outcomes.items() if held == outcome and outcome not in ALLOWED[plan])
        assert seen <= most * CALLS + 1, f"seed {SEED}: {outcome} ({section}) {seen} times\n{outcomes}"
    assert {plan for plan, _ in outcomes} == set(Plan)
    assert simulation.harness.most_calls > 5
    assert simulation.harness.silences > 0
    assert simulation.harness.core.drops.malformed == 0


def test_calls_over_connections() -> None:
    outcomes = simulate(Simulation(SEED, transport="TCP"), STREAM_CALLS)
    assert sum(outcomes.values()) == STREAM_CALLS
    # Nothing is lost here: only the relay's silences are random.
    by_chance = {held for plan, held in outcomes if held not in ALLOWED[plan]}
    assert by_chance <= {"503", "BY_PEER"}, outcomes


def test_the_walk_sees_every_table() -> None:
    harness = ProxyHarness()
    paths = {path for path, _ in containers(harness.core)}
    tables = {
        "_shared.by_client",
        "_shared.contexts",
        "_shared.events.waiting",
        "_shared.timers._when",
        "_broker._waits",
        "_broker._turns",
    }
    tables |= {
        "_guard._lookups._held",
        "_shared.calls._calls",
        "_shared.layers[]._machine.transactions",
        "_shared.layers[]._machine.timers._heap",
    }
    assert tables <= paths
    assert STAYS.keys() <= paths
    assert leftovers(harness.core) == []


def test_the_walk_finds_what_is_left() -> None:
    harness = ProxyHarness()
    caller = harness.caller()
    harness.service()
    caller.call("sip:99999999-2222-4333-8444-555555555555@sip.example", harness.now)
    harness.run(0.3)
    found = {line.partition(" ")[0] for line in leftovers(harness.core)}
    assert {"_shared.by_client", "_shared.contexts", "_shared.calls._calls", "_shared.layers[]._machine.transactions"} <= found
    harness.run(100)
    assert leftovers(harness.core) == []
