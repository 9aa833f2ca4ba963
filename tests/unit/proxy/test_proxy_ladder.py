"""What the ladder of a call shows: every message of it that passed the proxy, also those that the transaction layer takes or sends."""

from __future__ import annotations

from dataclasses import replace

from sipproxy.core.ladder import MAX_STORED
from tests.support.ua import Attempt, Caller
from tests.unit.proxy.world import ALIAS, CALLER, CONFIG, INTERNAL, NODE_A, NODE_B, UDP, URI, World


def steps(world: World, leg: str) -> list[str]:
    """Return method or status of the messages of one leg, those that the proxy sent after an arrow."""
    ours = {"{}:{}".format(*listener.address) for listener in (UDP, INTERNAL)}
    return [
        (">" if message.source in ours else "") + message.first_line.split(" ")[message.first_line.startswith("SIP/2.0")]
        for message in world.ladder
        if message.leg == leg
    ]


def cancelled(world: World, caller: Caller) -> Attempt:
    attempt = caller.call(URI, world.now)
    world.run(0.9)
    assert attempt.key is not None
    caller.layer.cancel(attempt.key, world.now)
    world.run(60)
    return attempt


def test_it_tells_the_call_and_hides_the_digest() -> None:
    world = World()
    caller = world.caller()
    world.service()
    caller.call(URI, world.now)
    world.run(5)
    assert steps(world, "caller") == ["INVITE", ">100", ">180", ">200", "ACK", "BYE", ">200"]
    assert steps(world, "callflow") == [">INVITE", "180", "200", ">ACK", ">BYE", "200"]
    invite = world.ladder[0].text
    assert 'response="***"' in invite
    assert (world.ladder[0].source, world.ladder[0].destination) == ("198.51.100.7:5080", "203.0.113.5:6160")
    assert ALIAS in invite


def test_it_shows_a_cancel_and_what_it_brings_about() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.answer_delay = 100
    cancelled(world, caller)
    assert steps(world, "caller") == ["INVITE", ">100", ">180", "CANCEL", ">200", ">487", "ACK"]
    assert steps(world, "callflow") == [">INVITE", "180", ">CANCEL", "200", "487", ">ACK"]


def test_it_shows_repetitions() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.silent = True
    caller.call(URI, world.now)
    # Twice more before the node is given up, as there is no other.
    world.run(3)
    assert steps(world, "callflow").count(">INVITE") >= 2
    (attempt,) = caller.attempts.values()
    for _ in range(2):
        world.core.receive_datagram(UDP, bytes(attempt.request or b""), CALLER, world.now)
        world.drain(world.now)
    # After its ACK a failure is not sent again.
    assert steps(world, "caller") == ["INVITE", ">100", ">503", "ACK", "INVITE", "INVITE"]


def test_it_shows_a_late_answer_that_is_hung_up() -> None:
    world = World(nodes=(NODE_A, NODE_B))
    caller, first, _ = world.caller(), world.service(NODE_A), world.service(NODE_B, prefix="n")
    first.silent = True
    caller.call(URI, world.now)
    world.run(1.3)
    first.silent, first.answer_delay = False, 0.0
    world.run(10)
    inside = [message for message in world.ladder if message.leg == "callflow" and NODE_A[0] in (message.source + message.destination)]
    methods = [message.first_line.split(" ")[0] for message in inside if message.source.startswith(INTERNAL.address[0])]
    assert {"INVITE", "CANCEL", "ACK", "BYE"} <= set(methods)


def test_a_peer_cannot_fill_it() -> None:
    world = World(replace(CONFIG, max_unacknowledged_per_source=1))
    caller = world.caller()
    world.service()
    attempt = caller.call(URI, world.now)
    world.run(0.2)
    for _ in range(MAX_STORED):
        world.core.receive_datagram(UDP, bytes(attempt.request or b""), CALLER, world.now)
    world.drain(world.now)
    assert len(world.ladder) == MAX_STORED


def test_nobody_watching_costs_no_event() -> None:
    world = World(replace(CONFIG, stores_messages=False))
    caller, service = world.caller(), world.service()
    service.answer_delay = 100
    cancelled(world, caller)
    assert world.ladder == []
