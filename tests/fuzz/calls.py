"""A proxy with an established call, fed with damaged messages from both sides."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from zlib import crc32

from daemonkit.address import Address
from sipproxy.sip import parse_message
from tests.fuzz.lines import foreign_lines, lines_of
from tests.unit.proxy.harness import ALIAS, CALLER, CONFIG, DOMAIN, INSIDE, NODE_A, OUTSIDE, ProxyHarness

URI = f"sip:{ALIAS}@{DOMAIN}"
INPUTS_PER_WORLD = 300
SECONDS_PER_INPUT = 0.3


class Recorder(ProxyHarness):
    """Keeps every datagram that reaches the proxy."""

    def __init__(self) -> None:
        super().__init__(replace(CONFIG, trusted=("0.0.0.0/0",)))
        self.came: list[bytes] = []

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None:
        self.came.append(data)
        super().receive(data, source, local, now)


class Stage:
    """Run one harness until its call is up, then let strangers in."""

    def __init__(self) -> None:
        self.harness = Recorder()
        caller, service = self.harness.caller(), self.harness.service()
        caller.talk_seconds = 60.0
        caller.call(URI, self.harness.now)
        self.harness.run(1)
        self.lines = {
            line for agent in (caller, service) for message in (*agent.requests, *agent.responses) for line in lines_of(bytes(message))
        }
        self.lines |= {line for data in self.harness.came for line in lines_of(data)}
        self.inputs = 0
        self.now = self.harness.now

    def feed(self, data: bytes, source: Address, local: Address) -> list[bytes]:
        """Give the proxy one datagram, let time pass, and return what it sent, each message checked."""
        harness = self.harness
        self.inputs += 1
        self.lines |= lines_of(data)
        self.now += SECONDS_PER_INPUT
        while (due := harness.timer()) is not None and due <= self.now:
            harness.ring(self.now)
        harness.receive(data, source, local, self.now)
        sent = harness.take()
        for place, message, _ in sent:
            assert not foreign_lines(message, self.lines), "the proxy wrote a line that nobody sent"
            if place == INSIDE and not message.startswith(b"SIP/2.0 "):
                _check_inside(message)
        return [message for _, message, _ in sent]


def _check_inside(message: bytes) -> None:
    keys = parse_message(message).keys
    assert not any(key.startswith("x-") for key in keys), "a private header came in from outside"


_stage: list[Stage] = []


def fuzz_core(data: bytes) -> Hashable:
    """Nothing that a peer sends raises out of the core, and nobody injects lines through it."""
    if not _stage or _stage[0].inputs >= INPUTS_PER_WORLD:
        _stage[:] = [Stage()]
    inside = crc32(data) % 4 == 0
    try:
        sent = _stage[0].feed(data, NODE_A, INSIDE) if inside else _stage[0].feed(data, CALLER, OUTSIDE)
    except BaseException:
        _stage.clear()
        raise
    return inside, tuple(message[:12] for message in sent[:3])


def seeds_of_a_call() -> tuple[bytes, ...]:
    """Return every datagram that a proxy sees of one whole call."""
    harness = Recorder()
    caller = harness.caller()
    harness.service()
    caller.call(URI, harness.now)
    harness.run(5)
    return tuple(dict.fromkeys(harness.came))
